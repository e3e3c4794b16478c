package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// byteUnits are the powers of 1024, the largest first.
func byteUnits() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

// parseBytes reads a number of bytes: 1048576, 1024KiB, 1MiB. Units are powers
// of 1024, and the short forms (K, KB, M, MB, …) mean the same.
func parseBytes(s string) (int64, error) {
	text := strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	unit := int64(1)
	for _, u := range byteUnits() {
		for _, name := range []string{strings.ToUpper(u.name), u.name[:1] + "B", u.name[:1]} {
			if digits, found := strings.CutSuffix(text, name); found && unit == 1 {
				text, unit = digits, u.size
			}
		}
	}
	if unit == 1 {
		text = strings.TrimSuffix(text, "B")
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > math.MaxInt64/uint64(unit) {
		return 0, fmt.Errorf("%q is not a size: write it as 256MiB or 2GiB", s)
	}
	return int64(n) * unit, nil
}

// bytesText writes a number of bytes exactly, in the largest unit that divides it.
func bytesText(n int64) string {
	for _, u := range byteUnits() {
		if n != 0 && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// durationText writes a duration without the zero parts that String adds:
// "4h", not "4h0m0s".
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
