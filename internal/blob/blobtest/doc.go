// Package blobtest is what every blob driver must do, as tests.
//
//	bucket → Run → one subtest a rule
//
// The tests of each driver call it. It imports blob, and nothing outside tests
// imports it. Goroutines that it starts are joined by the test that starts them.
package blobtest
