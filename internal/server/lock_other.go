//go:build !unix

package server

import "os"

// lockFile does nothing where there is no flock: the sockets keep a second
// server from running with the same configuration.
func lockFile(*os.File) error { return nil }
