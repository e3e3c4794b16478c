// Package native calls C libraries that are installed on the machine, without a
// C compiler and without linking to them: a library is looked for when it is
// first needed, and its absence is an ordinary error that names the package to
// install.
//
//	Options → Open (dlopen) → Library.Func (dlsym) → Func.Call → the C function
//
// codec/opus and mp3 call it; it is the only home of ebitengine/purego. It imports
// nothing of Tapedeck, starts no goroutine, writes no file, and reads none but the
// libraries that it opens. Its users must give C no Go pointer that C keeps after
// the call (what C keeps lies in memory that C took itself, or holds no pointers
// and is handed in anew with each call), and no function that takes or returns
// floating-point numbers.
//
// Where the system or the build has no dynamic loading (see ADR 14), every Open is
// ErrMissing.
package native
