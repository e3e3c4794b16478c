//go:build !linux

package recorder

// reserve takes memory of the heap: where it would come from instead differs.
func reserve(bytes int) ([]byte, error) { return make([]byte, bytes), nil }

func forget([]byte) {}

func giveBack([]byte) error { return nil }
