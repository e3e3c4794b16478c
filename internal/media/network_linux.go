package media

// defaultNetwork is the driver of this system.
func defaultNetwork(ring bool) network { return epollNetwork{ring: ring} }
