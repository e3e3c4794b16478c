package native

import (
	"errors"
	"fmt"
	"sync"
)

// ErrMissing means that a library, or a function of it, is not on this machine.
var ErrMissing = errors.New("system library is missing")

// Options describe a library.
type Options struct {
	Name    string   // as people call it: libopus
	Package string   // the Debian package that installs it
	Files   []string // names for the dynamic loader, the best first
	Needs   []string // functions that it must have
	// Absent acts as if the library were not installed. Tests and benchmarks use
	// it to take the other way.
	Absent bool
}

// MissingError tells which library is missing, why, and what would install it.
type MissingError struct {
	Library string
	Package string
	Err     error // what the system said
}

// errNoLoader is said by builds without dynamic loading.
var errNoLoader = errors.New("this build of the program cannot load libraries")

// Error is a sentence for the operator.
func (e *MissingError) Error() string {
	if errors.Is(e.Err, errNoLoader) {
		return fmt.Sprintf("%s cannot be used: %v; use the usual build, and install the package %s (Debian's name)", e.Library, e.Err, e.Package)
	}
	return fmt.Sprintf("%s cannot be used (%v): install the package %s (Debian's name)", e.Library, e.Err, e.Package)
}

// Unwrap gives what the system said.
func (e *MissingError) Unwrap() error { return e.Err }

// Is makes every MissingError an ErrMissing.
func (e *MissingError) Is(target error) bool { return target == ErrMissing }

// Library is an opened library. It stays open as long as the program runs:
// functions of it may be running anywhere. Opening it again is cheap, the system
// counts.
type Library struct {
	options Options
	funcs   map[string]Func
}

// Func is a C function that takes and returns integers and pointers.
type Func struct {
	address uintptr
	calls   *sync.Pool // of argument lists
}

// Open finds the library under one of its names and looks up the functions that
// it needs. Whatever is not there is a MissingError.
func Open(o Options) (*Library, error) {
	missing := func(err error) error {
		return &MissingError{Library: o.Name, Package: o.Package, Err: err}
	}
	if o.Absent {
		return nil, missing(errors.New("it is left out on purpose"))
	}
	first := errors.New("it has no file name")
	for i, file := range o.Files {
		handle, err := open(file)
		if err != nil {
			if i == 0 {
				first = err
			}
			continue
		}
		l := &Library{options: o, funcs: make(map[string]Func, len(o.Needs))}
		calls := newCalls()
		for _, name := range o.Needs {
			address, err := lookup(handle, name)
			if err != nil {
				return nil, missing(fmt.Errorf("%s has no function %s: %w", file, name, err))
			}
			l.funcs[name] = Func{address, calls}
		}
		return l, nil
	}
	return nil, missing(first)
}

// Func returns a function that Options.Needs named. Another name is a mistake in
// the program and panics.
func (l *Library) Func(name string) Func {
	f, ok := l.funcs[name]
	if !ok {
		panic("native: " + name + " is not among the needed functions of " + l.options.Name)
	}
	return f
}
