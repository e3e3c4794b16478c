package vad

import "time"

// Who answered a call, as far as it can be heard.
type Who uint8

// Nobody is who said no word in time.
const (
	ByNobody Who = iota
	ByHuman
	ByMachine
)

// String names who it was.
func (w Who) String() string {
	names := [...]string{"unknown", "human", "machine"}
	if int(w) < len(names) {
		return names[w]
	}
	return "invalid"
}

// Until says when a machine is told of.
type Until uint8

// A machine is told of once it is known to be one, when its greeting is over, or
// when its tone was heard. The tone ends all waiting.
const (
	UntilKnown Until = iota
	UntilQuiet
	UntilTone
)

// Settings of a Machine. All numbers are above zero.
type Settings struct {
	Words int           // so many words without a pause are a machine
	Quiet time.Duration // no word for so long after the answer is unknown; so much silence ends a greeting
	Tone  time.Duration // what Until says is waited for so long once a machine is known
	Until Until
}

// Finding is what a Machine has found out.
type Finding struct {
	Who   Who
	Words int           // heard until then, counted by their sound
	Tone  bool          // a machine's tone was heard
	After time.Duration // of audio, until it was clear
}

// How people answer, and machines: a person says a few words and waits for the other,
// a machine goes on. These two, and those of words, were chosen by one half of the
// greetings of speech's TestAccuracy; docs/amd.md has what comes of them for the other half.
const (
	waits   = time.Second            // of silence after a few words: a person listens
	perWord = 480 * time.Millisecond // speech that lasts so long for each word is so many, however they are counted
)

// All is judged in units.
const (
	unit        = 20 * time.Millisecond
	unitSamples = Rate / 50
)

// Machine finds out who answers a call: a person, or a machine that takes messages. It
// is fed what the party says from the answer on. It tells speech by its energy, words
// by its rise and fall, and tones by their purity; it knows no language. It is for one
// goroutine.
type Machine struct {
	settings Settings
	frame    [unitSamples]int16
	filled   int

	heard    time.Duration
	detector Detector
	beeps    beeps
	words    words

	speaking bool          // an utterance is under way
	since    time.Duration // when it began
	loudest  float64       // of its units, dB
	units    int           // of it that were loud
	rings    int           // of those, that may be a ring tone
	known    time.Duration // when it was clear that it is a machine; 0 = it is not

	found   Finding
	decided bool
}

// NewMachine makes one for a call that is being answered.
func NewMachine(s Settings) *Machine {
	m := &Machine{settings: s}
	m.beeps.prepare()
	return m
}

// Feed takes what is heard next, at Rate and of any length, and returns what was found
// out, and whether that is all: then it stays as it is. It is all after the sum of what
// the settings let it wait for, whatever is heard.
func (m *Machine) Feed(samples []int16) (Finding, bool) {
	for len(samples) > 0 && !m.decided {
		n := copy(m.frame[m.filled:], samples)
		m.filled += n
		samples = samples[n:]
		if m.filled == len(m.frame) {
			m.filled = 0
			m.step()
		}
	}
	return m.Finding(), m.decided
}

// Finding is what has been found out so far.
func (m *Machine) Finding() Finding {
	if m.decided {
		return m.found
	}
	f := Finding{Words: m.words.count(), After: m.heard}
	if m.known > 0 {
		f.Who = ByMachine
	}
	return f
}

// step takes a unit.
func (m *Machine) step() {
	m.heard += unit
	loudness := level(m.frame[:])
	tonal, beep := m.beeps.feed(m.frame[:], loudness, m.speaking || m.words.syllables > 0)
	if beep {
		m.found.Tone = true
		m.decide(ByMachine)
		return
	}
	if tonal {
		m.detector.pass(unit)
	} else {
		m.follow(m.detector.feed(loudness, unit), loudness)
	}
	switch {
	case m.known > 0:
		m.await()
	case m.speaking:
		m.judge()
	case m.heard >= m.settings.Quiet:
		m.decide(ByNobody)
	}
}

// follow takes note of what is said.
func (m *Machine) follow(s State, loudness float64) {
	if s == Speech && !m.speaking && m.known == 0 {
		m.speaking, m.since, m.loudest = true, m.heard-begins, loudness
		m.units, m.rings = 0, 0
		m.words.begin()
	}
	if m.speaking && m.detector.Silent() == 0 {
		m.units++
		if m.beeps.rings {
			m.rings++
		}
	}
	if m.speaking || m.known > 0 {
		m.loudest = max(m.loudest, loudness)
		m.words.feed(loudness)
	}
}

// spoken reports whether the utterance that is under way is one. It is none if it does
// not rise above the noise of the place, as far as that is known now, or rings.
func (m *Machine) spoken() bool {
	return m.loudest >= m.detector.floorNow()+above && 4*m.rings < 3*m.units
}

// judge looks at the utterance that is under way.
func (m *Machine) judge() {
	spoken := m.spoken()
	silent := m.detector.Silent()
	lasted := m.heard - m.since - silent
	switch {
	case silent >= waits && spoken:
		m.decide(ByHuman)
	case silent >= waits:
		m.speaking = false
		m.words.forget()
	case spoken && (m.words.count() >= m.settings.Words || lasted >= time.Duration(m.settings.Words)*perWord):
		m.known = m.heard
		m.await()
	case !spoken && m.heard >= m.settings.Quiet:
		m.words.forget()
		m.decide(ByNobody)
	}
}

// await waits for what is to come once a machine is known.
func (m *Machine) await() {
	switch {
	case m.settings.Until == UntilKnown,
		m.settings.Until == UntilQuiet && m.detector.Silent() >= m.settings.Quiet,
		m.heard-m.known >= m.settings.Tone:
		m.decide(ByMachine)
	}
}

func (m *Machine) decide(who Who) {
	m.found.Who, m.found.Words, m.found.After = who, m.words.count(), m.heard
	m.decided = true
}
