package calltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/callgen"
	"tapedeck/internal/scene"
	"tapedeck/internal/speech"
	"tapedeck/internal/testkit"
)

// TestScenes plays every file of testdata/calls. Each has a channel of its own on
// one server; they share nothing else.
func TestScenes(t *testing.T) {
	testkit.Timeout(t, 5*time.Minute)
	files, err := filepath.Glob(filepath.Join("testdata", "calls", "*.call"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d scenes, %v", len(files), err)
	}
	s := NewStage(t, "--allow-private-urls")
	hooks, voices := newReceiver(t), voicesOf(t)
	for i, file := range files {
		text, err := os.ReadFile(file) //nolint:gosec // a file of this directory
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".call")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, err := scene.Parse(filepath.Join("internal", "calltest", file), string(text))
			if err != nil {
				t.Fatal(err)
			}
			p := &player{
				t: t, s: s, index: i, name: name, hooks: hooks, voices: voices,
				parties: map[string]*actor{}, places: map[string]string{}, channels: map[string]string{},
			}
			p.play(sc)
		})
	}
}

// voicesOf finds what the server finds, too: the same text is the same sound.
func voicesOf(t *testing.T) speech.Synthesizer {
	t.Helper()
	e, err := speech.Find(t.Context(), speech.Options{Say: speech.Auto, Understand: speech.None, Work: unbounded})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if e.Voices == nil {
		t.Fatal("nothing here speaks; scripts/install-test-deps installs what the tests need")
	}
	return e.Voices
}

// player plays one scene.
type player struct {
	t      *testing.T
	s      *Stage
	index  int
	name   string
	hooks  *receiver
	voices speech.Synthesizer

	at       scene.Step
	parties  map[string]*actor
	places   map[string]string // what stands in a flow for {name}
	channels map[string]string // ids by name
	channel  string            // the id of the last one
	rec      string            // the id of the recording, once it is known
	shown    []byte            // the channel's calls, when the scene broke off
}

// actor is a party and what it has said and heard.
type actor struct {
	*callgen.Party
	letter  string
	dialing *Dialling
	call    string // its id
	said    []*audio.Clip
	ear     ear
}

// verbs gives each form of a line its meaning.
func verbs() map[string]func(*player, []string) {
	return map[string]func(*player, []string){
		"PARTY speaks CODEC":               nil, // setup: see party
		"PARTY has no telephone-events":    nil,
		"PARTY is busy":                    nil,
		"the file NAME says TEXT":          (*player).file,
		"channel NAME":                     (*player).newChannel,
		"PARTY calls NAME":                 (*player).calls,
		"the server calls PARTY":           (*player).isDialled,
		"PARTY is called":                  (*player).isCalled,
		"PARTY answers":                    (*player).answers,
		"PARTY says TEXT":                  (*player).says,
		"PARTY presses KEYS by WAY":        (*player).presses,
		"PARTY hangs up":                   (*player).hangsUp,
		"the flow of PARTY becomes":        (*player).becomes,
		"PARTY is answered":                (*player).isAnswered,
		"PARTY is turned away with NUMBER": (*player).isTurnedAway,
		"PARTY is hung up":                 (*player).isHungUp,

		"PARTY hears TEXT":                   (*player).hears,
		"PARTY hears the beginning of TEXT":  (*player).hearsBeginning,
		"PARTY did not hear the end of TEXT": (*player).missedEnd,
		"PARTY hears PARTY":                  (*player).hearsParty,
		"PARTY hears a beep":                 (*player).hearsBeep,

		"the call of PARTY is STATUS":                      (*player).callIs,
		"the commands of PARTY are LIST":                   (*player).commandsAre,
		"the keys of PARTY are KEYS":                       (*player).keysAre,
		"the recording is stereo, left PARTY, right PARTY": (*player).isStereo,
		"the recording is mono, of PARTY":                  (*player).isMono,
		"the transcript contains TEXT":                     (*player).transcript,
		"the transcript of the SIDE contains TEXT":         (*player).transcriptSide,
		"the receiver of webhooks is down":                 (*player).receiverDown,
		"the receiver of webhooks is back":                 (*player).receiverBack,
		"the webhooks of PARTY are LIST":                   (*player).webhooksOf,
		"the webhooks of the recording are LIST":           (*player).webhooksOfRecording,
		"each webhook came once, signed":                   (*player).webhooksAreGood,
	}
}

// TestEveryFormIsPlayed: what may stand in a scene means something.
func TestEveryFormIsPlayed(t *testing.T) {
	known := verbs()
	for _, f := range scene.Forms() {
		if verb, ok := known[f.Text]; !ok || (verb == nil) != f.Setup {
			t.Errorf("nothing plays %q", f.Text)
		}
		delete(known, f.Text)
	}
	for form := range known {
		t.Errorf("there is no line %q", form)
	}
}

func (p *player) play(sc *scene.Scene) {
	p.t.Helper()
	// The line that a failure belongs to, whatever fails.
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("%s:%d: %s", sc.File, p.at.Line, p.at.Text)
			p.t.Logf("the calls: %s", p.shown)
		}
	})
	defer p.show()
	setups := map[string]callgen.PartyOptions{}
	for _, step := range sc.Steps {
		if !step.Setup {
			continue
		}
		o := setups[step.Args[0]]
		switch step.Form.Text {
		case "PARTY speaks CODEC":
			o.Codecs = []string{step.Args[1]}
		case "PARTY has no telephone-events":
			o.NoEvents = true
		default:
			o.Refuse = 486
		}
		setups[step.Args[0]] = o
	}
	for _, letter := range sc.Parties() {
		p.party(letter, setups[letter])
	}
	all := verbs()
	for _, step := range sc.Steps {
		p.at = step
		if verb := all[step.Form.Text]; verb != nil {
			verb(p, step.Args)
		}
	}
}

// party makes a party. Who is called rings until the scene says that it answers.
func (p *player) party(letter string, o callgen.PartyOptions) {
	p.t.Helper()
	o.User, o.Ring = fmt.Sprintf("7%02d%02d", p.index, letter[0]-'A'), time.Hour
	one := &actor{Party: p.s.Party(p.t, o), letter: letter}
	p.parties[letter], p.places["{"+letter+"}"] = one, one.URI()
	p.t.Cleanup(func() {
		if err := one.Hangup(); err != nil && !one.over() {
			p.t.Error(err)
		}
	})
}

func (a *actor) over() bool {
	select {
	case <-a.Done():
		return true
	default:
		return false
	}
}

// flow is the call flow of the step in JSON, with all names filled in.
func (p *player) flow() string {
	p.t.Helper()
	data, err := json.Marshal(p.at.Flow)
	if err != nil {
		p.t.Fatal(err)
	}
	text := string(data)
	if len(p.at.Flow) == 0 {
		text = "[]"
	}
	for name, value := range p.places {
		text = strings.ReplaceAll(text, name, value)
	}
	return text
}

// show keeps what the API shows of the calls, for who reads of a failure.
func (p *player) show() {
	if p.t.Failed() && p.channel != "" {
		p.shown = p.s.Do(p.t, http.MethodGet, p.s.workspacePath()+"/channels/"+p.channel+"/calls", "", http.StatusOK, nil)
	}
}

func (p *player) newChannel(args []string) {
	number := fmt.Sprintf("79%02d%d", p.index, len(p.channels))
	var out struct{ ID string }
	p.s.Do(p.t, http.MethodPost, p.s.workspacePath()+"/channels",
		fmt.Sprintf(`{"name":%q,"number":%q,"inbound":{"callFlow":%s}}`, p.name+" "+args[0], number, p.flow()), http.StatusCreated, &out)
	p.places["{"+args[0]+"}"], p.channels[args[0]], p.channel = number, out.ID, out.ID
	p.hooks.subscribe(p, out.ID)
}

func (p *player) file(args []string) {
	var out struct{ ID string }
	clip := p.spoken(args[1], "")
	p.s.Do(p.t, http.MethodPost, p.s.workspacePath()+"/media?name="+args[0], wavOf(p.t, clip), http.StatusCreated, &out)
	p.places["{"+args[0]+"}"] = "media:" + out.ID
}

func (p *player) calls(args []string) {
	a := p.parties[args[0]]
	a.dialing = p.s.Dial(p.t, a.Party, p.places["{"+args[1]+"}"])
	p.channel = p.channels[args[1]]
}

func (p *player) isDialled(args []string) {
	a := p.parties[args[0]]
	var out Call
	p.s.Do(p.t, http.MethodPost, p.s.workspacePath()+"/channels/"+p.channel+"/calls",
		fmt.Sprintf(`{"to":%q,"callFlow":%s}`, a.URI(), p.flow()), http.StatusAccepted, &out)
	a.call = out.ID
}

func (p *player) isCalled(args []string) { await(p.t, p.parties[args[0]].Called()) }

func (p *player) answers(args []string) {
	a := p.parties[args[0]]
	await(p.t, a.Called())
	a.PickUp()
	if err := a.Answered(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
}

func (p *player) isAnswered(args []string) {
	a := p.parties[args[0]]
	if a.dialing == nil {
		p.t.Fatalf("%s called nobody", args[0])
	}
	a.dialing.Up(p.t)
}

func (p *player) isTurnedAway(args []string) {
	if code := fmt.Sprint(p.parties[args[0]].dialing.Refused(p.t)); code != args[1] {
		p.t.Fatalf("it was %s", code)
	}
}

func (p *player) hangsUp(args []string) {
	if err := p.parties[args[0]].Hangup(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *player) isHungUp(args []string) { await(p.t, p.parties[args[0]].Done()) }

func (p *player) presses(args []string) {
	a := p.parties[args[0]]
	var err error
	switch args[2] {
	case "rfc4733":
		err = a.Digits(args[1])
	case "info":
		err = a.DigitsByInfo(args[1])
	default:
		_, err = a.DigitsInBand(args[1])
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// says waits until all of it is on its way.
func (p *player) says(args []string) {
	a := p.parties[args[0]]
	agreed, _ := a.Agreed()
	clip := p.spoken(args[1], manOrWoman(a.letter)).At(agreed.Send.SampleRate)
	a.said = append(a.said, clip)
	await(p.t, a.Play(callgen.PCM(clip.Samples)).Done())
}

func (p *player) becomes(args []string) {
	p.s.Do(p.t, http.MethodPatch, p.callPath(args[0]), `{"callFlow":`+p.flow()+`}`, http.StatusAccepted, nil)
}

// callPath is the address of the party's call.
func (p *player) callPath(letter string) string {
	p.t.Helper()
	a, list := p.parties[letter], p.s.workspacePath()+"/channels/"+p.channel+"/calls"
	if a.call != "" {
		return list + "/" + a.call
	}
	testkit.Eventually(p.t, patience, func() bool {
		var out struct{ Results []Call }
		p.s.Do(p.t, http.MethodGet, list, "", http.StatusOK, &out)
		for _, c := range out.Results {
			if c.From == a.User() && c.Direction == "incoming" || c.To == a.URI() {
				a.call = c.ID
			}
		}
		return a.call != ""
	})
	return list + "/" + a.call
}

// await waits for the call to look as it must, and says how it looked last.
func (p *player) await(letter, want string, look func(sceneCall) string) {
	p.t.Helper()
	got := ""
	if !eventually(patience, func() bool {
		var c sceneCall
		p.s.Do(p.t, http.MethodGet, p.callPath(letter), "", http.StatusOK, &c)
		got = look(c)
		return got == want
	}) {
		p.t.Fatalf("it is %q", got)
	}
}

// sceneCall is what scenes see of a call.
type sceneCall struct {
	Status, Reason string
	Commands       []struct {
		Command, Status, Reason string
		Keys                    *string
	}
}

func (p *player) callIs(args []string) {
	p.await(args[0], args[1], func(c sceneCall) string { return c.Status })
}

func (p *player) commandsAre(args []string) {
	p.await(args[0], strings.Join(p.at.List(), ", "), func(c sceneCall) string {
		var out []string
		for _, one := range c.Commands {
			out = append(out, one.Command+" "+one.Status)
		}
		return strings.Join(out, ", ")
	})
}

func (p *player) keysAre(args []string) {
	p.await(args[0], args[1], func(c sceneCall) (keys string) {
		for _, one := range c.Commands {
			if one.Keys != nil {
				keys = *one.Keys
			}
		}
		return keys
	})
}
