package opus

import (
	"strconv"
	"strings"
)

// Parameters are what a receiver says of itself in SDP, as the value of a=fmtp
// (RFC 7587 §6.1). What it does not say, or not in a way to be understood, is zero.
type Parameters struct {
	FEC     bool // useinbandfec=1: it can use redundancy
	DTX     bool // usedtx=1: it would rather have nothing than silence
	Stereo  bool // stereo=1: it would rather have stereo
	Bitrate int  // maxaveragebitrate, bit/s, 6000 to 510000; 0 = no limit said
}

// ParseParameters reads the value of a=fmtp. It never fails: the parameters are
// wishes.
func ParseParameters(fmtp string) Parameters {
	var p Parameters
	for field := range strings.SplitSeq(fmtp, ";") {
		name, value, _ := strings.Cut(field, "=")
		value = strings.TrimSpace(value)
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "useinbandfec":
			p.FEC = value == "1"
		case "usedtx":
			p.DTX = value == "1"
		case "stereo":
			p.Stereo = value == "1"
		case "maxaveragebitrate":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				p.Bitrate = min(max(n, 6000), 510000)
			}
		}
	}
	return p
}
