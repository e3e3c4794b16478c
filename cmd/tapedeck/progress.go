package main

import (
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// progress returns a bar on standard error, for work of so many units that takes
// a while; nil when no person looks at it. What says in a word what is done. The
// bar is gone when done reaches total; finish takes it away before an error is
// said in its place.
func progress(what string) (show func(done, total int64), finish func()) {
	if !isatty.IsTerminal(os.Stderr.Fd()) {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	show = func(done, total int64) {
		if bar == nil {
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(os.Stderr),
				progressbar.OptionSetDescription(what), progressbar.OptionClearOnFinish(),
				progressbar.OptionThrottle(100*time.Millisecond))
		}
		// A bar that cannot be drawn is no reason to stop working.
		_ = bar.Set64(done)
	}
	finish = func() {
		if bar != nil {
			_ = bar.Clear() // as above
			bar = nil
		}
	}
	return show, finish
}
