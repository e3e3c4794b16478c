//go:build static || !((darwin && (amd64 || arm64)) || (linux && (386 || amd64 || arm || arm64 || loong64 || ppc64le || riscv64)))

package native

import "sync"

func open(string) (uintptr, error) { return 0, errNoLoader }

func lookup(uintptr, string) (uintptr, error) { return 0, errNoLoader }

func newCalls() *sync.Pool { return nil }

// Call6 is never reached: there is no Func without a library.
func (f Func) Call6(_, _, _, _, _, _ uintptr) uintptr { panic(errNoLoader) }

// CallVariadic is never reached, either.
func (f Func) CallVariadic(int, ...uintptr) uintptr { panic(errNoLoader) }
