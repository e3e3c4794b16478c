//go:build !unix

package client

import "os"

// lockFile does nothing where there is no flock: of two downloads to one place
// the slower one fails.
func lockFile(*os.File) error { return nil }
