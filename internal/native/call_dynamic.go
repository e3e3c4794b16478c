//go:build !static && ((darwin && (amd64 || arm64)) || (linux && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64)))

package native

import (
	"runtime"
	"sync"

	"github.com/ebitengine/purego"
)

// What went wrong, the loader is asked in a second call, and it tells each thread of
// its own failures only: so open and lookup stay on one thread.

func open(file string) (uintptr, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_LOCAL)
}

func lookup(handle uintptr, name string) (uintptr, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return purego.Dlsym(handle, name)
}

// arguments is a list of arguments that lives on the heap: purego makes one
// there for each call otherwise.
type arguments [6]uintptr

func newCalls() *sync.Pool { return &sync.Pool{New: func() any { return new(arguments) }} }

// Call6 calls the function and returns what it returned; an int result is in the
// lower half. Arguments that it does not have are 0. It allocates nothing. What a
// pointer among the arguments points to must be converted in the call itself, as
// uintptr(unsafe.Pointer(p)): then it is on the heap, and stays alive and in
// place until the call is over.
//
//go:uintptrescapes
func (f Func) Call6(a, b, c, d, e, g uintptr) uintptr {
	args := f.calls.Get().(*arguments)
	*args = arguments{a, b, c, d, e, g}
	r, _, _ := purego.SyscallN(f.address, args[:]...)
	f.calls.Put(args)
	return r
}

// CallVariadic calls a function that is declared with "...": fixed arguments stand
// before it. Of pointers and results the same holds as in Call6.
//
//go:uintptrescapes
func (f Func) CallVariadic(fixed int, args ...uintptr) uintptr {
	// Apple's convention for arm64 puts what follows "..." on the stack, where
	// the ninth argument of any function goes; others do as always.
	const registers = 8
	if runtime.GOOS == "darwin" && runtime.GOARCH == "arm64" && fixed < registers {
		padded := make([]uintptr, registers, registers+len(args)-fixed)
		copy(padded, args[:fixed])
		args = append(padded, args[fixed:]...)
	}
	r, _, _ := purego.SyscallN(f.address, args...)
	return r
}
