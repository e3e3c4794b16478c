package vad

import "math"

// Words are counted by the rise and fall of loudness: each syllable has a loudest
// place, and is quieter on both sides of it.
const (
	swing    = 2.5 // dB: a rise or fall that counts
	perCount = 1.6 // such rises are a word
)

// words counts those of one party.
type words struct {
	syllables int
	before    int // those before the utterance
	rising    bool
	last      float64 // level of the unit before
	turn      float64 // the most since the last dip, or the least since the last peak
}

// begin begins an utterance.
func (w *words) begin() {
	w.before = w.syllables
	w.rising, w.last, w.turn = false, quietest, quietest
}

// forget lets the utterance count for nothing.
func (w *words) forget() { w.syllables = w.before }

// feed takes the loudness of the next unit, in dB.
func (w *words) feed(loudness float64) {
	loudness = max(loudness, quietest)
	smooth := (loudness + w.last) / 2
	w.last = loudness
	switch {
	case w.rising && smooth > w.turn, !w.rising && smooth < w.turn:
		w.turn = smooth
	case w.rising && smooth < w.turn-swing:
		w.rising, w.turn = false, smooth
	case !w.rising && smooth > w.turn+swing:
		w.rising, w.turn = true, smooth
		w.syllables++
	}
}

// count is how many words it were.
func (w *words) count() int { return int(math.Round(float64(w.syllables) / perCount)) }
