package render

import "testing"

// What a party sent and what gave way to other audio of the same time is told:
// speech over speech, not what was made up, nor a step of rounding.
func TestOverlaidSpeechIsCounted(t *testing.T) {
	say := func(n int) []int16 { return make([]int16, n) }
	for name, c := range map[string]struct {
		do   func(l *lane)
		want int64
	}{
		"one after another": {func(l *lane) { l.put(0, say(160), speech); l.put(160, say(160), speech) }, 0},
		"at the same time":  {func(l *lane) { l.put(0, say(320), speech); l.put(160, say(320), speech) }, 160},
		"within":            {func(l *lane) { l.put(0, say(800), speech); l.put(160, say(160), speech) }, 160},
		"before and over":   {func(l *lane) { l.put(400, say(160), speech); l.put(240, say(240), speech) }, 80},
		"over what is made up": {func(l *lane) {
			l.put(0, say(160), speech)
			l.put(160, say(480), concealed)
			l.put(320, say(160), speech)
		}, 0},
		"rounding": {func(l *lane) { l.put(0, say(160), speech); l.put(158, say(160), speech) }, 0},
	} {
		l := newLane(4096, 1<<40)
		if c.do(l); l.overlaid != c.want {
			t.Errorf("%s: %d samples, not %d", name, l.overlaid, c.want)
		}
	}
}
