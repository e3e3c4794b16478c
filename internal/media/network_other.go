//go:build !linux

package media

// defaultNetwork is the driver of this system.
func defaultNetwork(bool) network { return portableNetwork{} }
