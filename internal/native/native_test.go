package native

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"tapedeck/internal/testkit"
)

// libc is the C library of the system that the tests run on.
func libc(needs ...string) Options {
	files := []string{"libc.so.6"}
	if runtime.GOOS == "darwin" {
		files = []string{"libSystem.B.dylib"}
	}
	return Options{Name: "libc", Package: "libc6", Files: append([]string{"libnothing-of-this-name.so.9"}, files...), Needs: needs}
}

func TestCall(t *testing.T) {
	l, err := Open(libc("strtol", "snprintf", "memcpy"))
	if err != nil {
		t.Fatal(err)
	}
	number := []byte("-1234 rest\x00")
	var end uintptr
	got := l.Func("strtol").Call6(uintptr(unsafe.Pointer(&number[0])), uintptr(unsafe.Pointer(&end)), 10, 0, 0, 0)
	if int32(got) != -1234 {
		t.Errorf("strtol gives %d", int32(got))
	}
	if at := end - uintptr(unsafe.Pointer(&number[0])); at != 5 {
		t.Errorf("it stopped after %d bytes", at)
	}
	form, text := []byte("%d/%d/%d/%d/%d/%d\x00"), make([]byte, 64)
	n := l.Func("snprintf").CallVariadic(3, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)), uintptr(unsafe.Pointer(&form[0])), 1, 22, 333, 4444, 5, 6)
	if got := string(text[:n]); got != "1/22/333/4444/5/6" {
		t.Errorf("snprintf writes %q", got)
	}
}

// What is handed to C is often on the stack of a goroutine, which moves.
func TestArgumentsOnAGrowingStack(t *testing.T) {
	l, err := Open(libc("memcpy"))
	if err != nil {
		t.Fatal(err)
	}
	copying := l.Func("memcpy")
	done := make(chan [8]byte)
	for range 50 {
		go func() {
			from, to := [8]byte{1, 2, 3, 4, 5, 6, 7, 8}, [8]byte{}
			copying.Call6(uintptr(unsafe.Pointer(&to)), uintptr(unsafe.Pointer(&from)), uintptr(len(from)), 0, 0, 0)
			done <- to
		}()
		runtime.GC()
		if got := <-done; got != [8]byte{1, 2, 3, 4, 5, 6, 7, 8} {
			t.Fatalf("copied %v", got)
		}
	}
}

func TestMissing(t *testing.T) {
	absent := libc()
	absent.Absent = true
	for name, o := range map[string]Options{
		"no such file":     {Name: "libnothing", Package: "libnothing0", Files: []string{"libnothing-of-this-name.so.9", "libnothing.dylib"}},
		"no name at all":   {Name: "libnothing", Package: "libnothing0"},
		"no such function": libc("strtol", "no_function_has_this_name"),
		"left out":         absent,
	} {
		_, err := Open(o)
		var missing *MissingError
		if !errors.Is(err, ErrMissing) || !errors.As(err, &missing) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if missing.Package != o.Package || !strings.Contains(err.Error(), o.Name) || !strings.Contains(err.Error(), "install the package "+o.Package) {
			t.Errorf("%s: %v does not tell what to do", name, err)
		}
	}
}

// What the system says of a library is about that library, whoever else looks for
// another one.
func TestMissingAtOnce(t *testing.T) {
	const tasks, tries = 8, 200
	wrong := make(chan error, tasks*tries)
	var all sync.WaitGroup
	for task := range tasks {
		all.Go(func() {
			file := fmt.Sprintf("libnothing-%d.so.9", task)
			for range tries {
				if _, err := Open(Options{Name: "libnothing", Files: []string{file}}); !strings.Contains(err.Error(), file) {
					wrong <- fmt.Errorf("of %s: %w", file, err)
				}
			}
		})
	}
	all.Wait()
	close(wrong)
	for err := range wrong {
		t.Error(err)
	}
}

func TestAFunctionThatWasNotAskedFor(t *testing.T) {
	l, err := Open(libc("strtol"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("it is there")
		}
	}()
	l.Func("memcpy")
}

func BenchmarkCall(b *testing.B) {
	l, err := Open(libc("labs"))
	if err != nil {
		b.Fatal(err)
	}
	f := l.Func("labs")
	b.ReportAllocs()
	for b.Loop() {
		f.Call6(7, 0, 0, 0, 0, 0)
	}
}

func BenchmarkOpen(b *testing.B) {
	o := libc("strtol", "memcpy")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(o); err != nil {
			b.Fatal(err)
		}
	}
}

func TestNothingIsAllocatedPerCall(t *testing.T) {
	l, err := Open(libc("memcpy"))
	if err != nil {
		t.Fatal(err)
	}
	f, from, to := l.Func("memcpy"), make([]byte, 64), make([]byte, 64)
	if got := testing.AllocsPerRun(100, func() {
		f.Call6(uintptr(unsafe.Pointer(&to[0])), uintptr(unsafe.Pointer(&from[0])), 64, 0, 0, 0)
	}); got != 0 && !testkit.Race {
		t.Errorf("%v allocations per call", got)
	}
}
