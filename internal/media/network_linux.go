package media

// defaultNetwork is the driver of this system.
func defaultNetwork() network { return epollNetwork{} }
