package speech

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/testkit"
	"tapedeck/internal/vad"
	"tapedeck/internal/voice"
)

// -update judges all greetings, of both halves, and writes the table; otherwise a part
// of the second half is judged.
var update = flag.Bool("update", false, "judge every greeting and write the table of docs/amd.md")

// lines are what else is on the line, dB of full scale. The voices have -22; in the
// last one nothing is promised.
var lines = [...]struct {
	name  string
	noise float64
}{{"none", -100}, {"faint, 30 dB below the voice", -52}, {"clear, 18 dB below the voice", -40}, {"loud, 10 dB below the voice", -32}}

// tally is what became of the answers of one kind.
type tally struct {
	found [3]int // by Who
	after []time.Duration
	wrong []string
	toned int // tones that were heard by who waits for them
	tones int // that there were
	ghost int // that were heard where there was none
}

func (a *tally) judged() int { return len(a.after) }

// right is the share that was found to be who they are.
func (a *tally) right(who vad.Who) float64 {
	return float64(a.found[who]) / float64(max(len(a.after), 1))
}

// add adds the judgement of an answer.
func (a *tally) add(who answer, noise string, j judgement) {
	a.found[j.Who]++
	a.after = append(a.after, j.After)
	if j.Who != who.is() {
		a.wrong = append(a.wrong, fmt.Sprintf("%s, noise %s: %v after %v and %d words: %q", who.voice, noise, j.Who, j.After, j.Words, who.text))
	}
	switch {
	case who.beep.length > 0:
		a.tones++
		if j.toned {
			a.toned++
		}
	case j.toned:
		a.ghost++
	}
}

// judgement is what is found by who does not wait for a tone, and whether one is heard
// by who does.
type judgement struct {
	vad.Finding
	toned bool
}

// judge judges an answer with each noise, by the settings that a call has unless it
// names others.
func (a answer) judge(t testing.TB) (out [len(lines)]judgement) {
	line := a.line(t)
	for i, l := range lines {
		heard := telephone(line, l.noise, a.seed)
		out[i] = judgement{listen(heard, vad.UntilKnown), listen(heard, vad.UntilTone).Tone}
	}
	return out
}

func listen(line []int16, until vad.Until) (f vad.Finding) {
	m := vad.NewMachine(vad.Settings{
		Words: voice.DefaultAMDWords, Quiet: voice.DefaultAMDSpeechTimeout * time.Second, Tone: voice.DefaultAMDBeepTimeout * time.Second, Until: until,
	})
	const frame = vad.Rate / 50
	for done := false; len(line) >= frame && !done; line = line[frame:] {
		f, done = m.Feed(line[:frame])
	}
	return f
}

// judged are the tallies of a half, by noise, of people and of machines; of every so
// many answers one is judged.
func (h half) judged(t *testing.T, every int) (out [len(lines)][2]tally) {
	all := h.answers()
	found := make([][len(lines)]judgement, len(all))
	var wg sync.WaitGroup
	for from := range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := from * every; i < len(all); i += every * runtime.GOMAXPROCS(0) {
				found[i] = all[i].judge(t)
			}
		})
	}
	wg.Wait()
	for i := 0; i < len(all); i += every {
		for k, l := range lines {
			who := 0
			if all[i].machine {
				who = 1
			}
			out[k][who].add(all[i], l.name, found[i][k])
		}
	}
	return out
}

// TestAccuracy judges greetings that programs speak, over a telephone line, and holds
// the judgement to what docs/amd.md says of it.
func TestAccuracy(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	if !*update {
		check(t, halves()[1].judged(t, 11))
		return
	}
	var b strings.Builder
	for i, h := range append(halves(), hard()) {
		found := h.judged(t, 1)
		if i < 2 {
			check(t, found)
		}
		write(&b, h, found)
	}
	place(t, b.String())
}

// check holds the tallies to a floor.
func check(t *testing.T, found [len(lines)][2]tally) {
	t.Helper()
	toned, tones, ghosts := 0, 0, 0
	for i, l := range lines {
		for k, who := range []vad.Who{vad.ByHuman, vad.ByMachine} {
			a := &found[i][k]
			t.Logf("noise %s, %v: human %d, machine %d, unknown %d", l.name, who, a.found[vad.ByHuman], a.found[vad.ByMachine], a.found[vad.ByNobody])
			if i < len(lines)-1 && a.right(who) < 0.9 {
				t.Errorf("noise %s: %.0f %% of those that are %v are found to be, want 90", l.name, 100*a.right(who), who)
			}
			for _, w := range a.wrong {
				t.Log("wrong: " + w)
			}
			toned, tones, ghosts = toned+a.toned, tones+a.tones, ghosts+a.ghost
		}
	}
	t.Logf("%d of %d tones heard, %d where there was none", toned, tones, ghosts)
	if float64(toned) < 0.9*float64(tones) || ghosts*50 > tones {
		t.Errorf("%d of %d tones heard, %d where there was none", toned, tones, ghosts)
	}
}

// write writes the tallies of a half as a table.
func write(b *strings.Builder, h half, found [len(lines)][2]tally) {
	judged, toned, tones, ghosts := 0, 0, 0, 0
	for i := range found {
		for k := range found[i] {
			a := &found[i][k]
			judged, toned, tones, ghosts = judged+a.judged(), toned+a.toned, tones+a.tones, ghosts+a.ghost
		}
	}
	fmt.Fprintf(b, "\n%s: %d answers, %d texts by %d voices and more.\n\n", h.title, judged, len(h.greetings), len(h.voices))
	b.WriteString("| noise on the line | who answers | found human | found machine | unknown | right | half of them by | slowest |\n|---|---|---|---|---|---|---|---|\n")
	for i, l := range lines {
		for k, who := range []vad.Who{vad.ByHuman, vad.ByMachine} {
			a := &found[i][k]
			slices.Sort(a.after)
			fmt.Fprintf(b, "| %s | %v | %d | %d | %d | %.1f %% | %.1f s | %.1f s |\n", l.name, who, a.found[vad.ByHuman], a.found[vad.ByMachine], a.found[vad.ByNobody],
				100*a.right(who), a.after[len(a.after)/2].Seconds(), a.after[len(a.after)-1].Seconds())
		}
	}
	fmt.Fprintf(b, "\nWho waits for the tone hears %d of %d, and %d where there is none.\n", toned, tones, ghosts)
}

// place puts the tables into the document.
func place(t *testing.T, tables string) {
	t.Helper()
	const path, begin, end = "../../docs/amd.md", "<!-- accuracy: made by `make amd` -->\n", "<!-- end of accuracy -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("%s has no place for the tables, between %q and %q", path, begin, end)
	}
	if err := os.WriteFile(path, []byte(head+begin+tables+"\n"+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}
