// Package storetest is what every database behind the store must do, as tests.
//
//	opener → Run → one subtest a rule
//
// The tests of store call it with each dialect. It imports store and voice, and
// nothing outside tests imports it. Goroutines that it starts are joined by the
// test that starts them.
package storetest
