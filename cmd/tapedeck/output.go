package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// sameFile reports whether two paths are of one file, also one that is not there
// yet.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// mayReplace says why a command must not put a file in the place of path: it
// would take away what it reads or has just written, or what is there is a
// directory, a device or a link.
func mayReplace(flag, path string, others ...string) error {
	for _, other := range others {
		if other != "" && sameFile(path, other) {
			return fmt.Errorf("%s %s: that is %s, which would be lost: give another name", flag, path, other)
		}
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s %s: what is there is no file: give another name", flag, path)
	}
	return nil
}

// printable takes out what a terminal would obey: parties choose their names,
// and servers what they answer. Lines of an error stay lines.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return '\ufffd'
	}, text)
}
