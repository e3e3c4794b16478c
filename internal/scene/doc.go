// Package scene reads scenes: what parties of calls do and see, written down in
// lines that can be read without knowing the program.
//
//	file.call → Parse → the title and the steps of a scene, each with its line
//
// The tests of whole calls play them (calltest), which give each form of a line its
// meaning; here are the forms, and what may stand in them. It is pure: no I/O, no
// goroutine, and nothing of Tapedeck, so that a scene says what it says whatever the
// program does.
package scene
