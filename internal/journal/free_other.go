//go:build !unix

package journal

import "math"

// Free does not know on this system.
func (OS) Free(string) (uint64, error) { return math.MaxUint64, nil }
