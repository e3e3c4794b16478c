package calltest

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
)

// recording waits for the channel's one recording.
func (p *player) recording(status string) Recording {
	p.t.Helper()
	var last []Recording
	if !eventually(patience, func() bool {
		var list struct{ Results []Recording }
		p.s.Do(p.t, http.MethodGet, p.s.workspacePath()+"/recordings?channelId="+p.channel, "", http.StatusOK, &list)
		last = list.Results
		return len(last) == 1 && last[0].Status == status
	}) {
		p.t.Fatalf("the recordings are %+v", last)
	}
	p.rec = last[0].ID
	return last[0]
}

// sides is the recording's file at sceneRate.
func (p *player) sides(want int) [][]int16 {
	p.t.Helper()
	if r := p.recording("available"); r.Stereo != (want == 2) {
		p.t.Fatalf("stereo is %v", r.Stereo)
	}
	file := p.s.Audio(p.t, p.rec)
	if len(file.Sides) != want {
		p.t.Fatalf("the file has %d channels", len(file.Sides))
	}
	for i, side := range file.Sides {
		file.Sides[i] = (&audio.Clip{Rate: file.Rate, Samples: side}).At(sceneRate).Samples
	}
	return file.Sides
}

// holds checks that all that a party said is on a side, one after the other.
func (p *player) holds(side []int16, letter, where string) {
	p.t.Helper()
	if len(p.parties[letter].said) == 0 {
		p.t.Fatalf("%s said nothing", letter)
	}
	for i, clip := range p.parties[letter].said {
		what := clip.At(sceneRate).Samples
		m := compare.Align(what, side)
		if m.Correlation < alike {
			p.t.Errorf("%s: what %s said as number %d is there to %.3f", where, letter, i+1, m.Correlation)
			return
		}
		side = side[min(len(side), max(0, m.Samples()+len(what)-sceneRate/10)):]
	}
}

// lacks checks that nothing that a party said is on a side.
func (p *player) lacks(side []int16, letter, where string) {
	p.t.Helper()
	for i, clip := range p.parties[letter].said {
		if m := compare.Align(clip.At(sceneRate).Samples, side); m.Correlation > 0.3 {
			p.t.Errorf("%s: what %s said as number %d is there to %.3f", where, letter, i+1, m.Correlation)
		}
	}
}

func (p *player) isStereo(args []string) {
	sides := p.sides(2)
	p.holds(sides[0], args[0], "left")
	p.holds(sides[1], args[1], "right")
	p.lacks(sides[0], args[1], "left")
	p.lacks(sides[1], args[0], "right")
}

func (p *player) isMono(args []string) { p.holds(p.sides(1)[0], args[0], "the file") }

func (p *player) transcript(args []string) { p.understood(args[0], -1) }

func (p *player) transcriptSide(args []string) {
	p.understood(args[1], map[string]int{"left": 0, "right": 1}[args[0]])
}

// understood checks that words follow each other in the recording's text; side -1 is
// any. Who did not ask for a text with the recording gets one now.
func (p *player) understood(words string, side int) {
	p.t.Helper()
	p.recording("available")
	var text struct {
		Segments []struct {
			Channel int
			Text    string
		}
	}
	p.s.Do(p.t, http.MethodGet, p.s.workspacePath()+"/transcriptions/"+p.transcription()+".json", "", http.StatusOK, &text)
	var said []string
	for _, s := range text.Segments {
		if side < 0 || s.Channel == side {
			said = append(said, plainWords(s.Text))
		}
	}
	if all := strings.Join(said, " "); !strings.Contains(" "+all+" ", " "+plainWords(words)+" ") {
		p.t.Errorf("it is %q", all)
	}
}

// transcription waits for the recording's text and returns its id.
func (p *player) transcription() string {
	p.t.Helper()
	type one struct{ ID, Status, Problem string }
	list := func() []one {
		var out struct{ Results []one }
		p.s.Do(p.t, http.MethodGet, p.s.workspacePath()+"/transcriptions?recordingId="+p.rec, "", http.StatusOK, &out)
		return out.Results
	}
	if len(list()) == 0 {
		p.s.Do(p.t, http.MethodPost, p.s.workspacePath()+"/recordings/"+p.rec+"/transcriptions", `{"locale":"en-US"}`, http.StatusAccepted, nil)
	}
	var last one
	if !eventually(2*patience, func() bool {
		last = list()[0]
		return last.Status == "available"
	}) {
		p.t.Fatalf("it is %s", fmt.Sprint(last))
	}
	return last.ID
}

// plainWords is a text without case and punctuation.
func plainWords(text string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '\'' }), " ")
}
