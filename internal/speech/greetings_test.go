package speech

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/audio"
	"tapedeck/internal/codec/g711"
	"tapedeck/internal/vad"
)

// A greeting is what somebody says who answers a call.
type greeting struct {
	text     string
	language string // of espeak-ng; empty = English
	machine  bool
}

// half is one half of all: no text, voice or tone of one is in the other. The first
// is what the thresholds were chosen by, the second what is reported.
type half struct {
	title     string
	greetings []greeting
	voices    []string // of flite, or of espeak-ng after "espeak "
	beeps     []beepSound
}

// beepSound is a machine's tone; none has no length.
type beepSound struct {
	hz     float64
	length time.Duration
}

func halves() []half {
	return []half{
		{
			title: "The half that the thresholds were chosen by", voices: []string{"kal", "slt", "espeak en-us", "espeak en-us+f2"},
			beeps: []beepSound{{1000, 500 * time.Millisecond}, {}, {1400, 250 * time.Millisecond}, {}},
			greetings: []greeting{
				{text: "Hello?"}, {text: "Yes?"}, {text: "Hello, this is Anna."}, {text: "Good morning."}, {text: "Hi, who is this?"},
				{text: "Smith speaking."}, {text: "Hello? Who?"}, {text: "Good afternoon, Parker."},
				{text: "Martin Lewis."}, {text: "Hallo?", language: "de"}, {text: "Weber, guten Tag.", language: "de"}, {text: "Pronto?", language: "it"},
				{machine: true, text: "You have reached the voice mail of John Carter. I am not available right now. Please leave a message after the tone."},
				{machine: true, text: "Hi, this is Sarah. Sorry I missed your call. Leave your name and number, and I will call you back."},
				{machine: true, text: "The person you are calling is not available. At the tone, please record your message."},
				{machine: true, text: "Thank you for calling Northern Supplies. Our office is closed. Our hours are nine to five, Monday to Friday."},
				{machine: true, text: "We can't come to the phone. Please leave a message."},
				{machine: true, text: "Hello. You have reached the Miller family. We are not at home. Please speak after the beep."},
				{machine: true, text: "Your call has been forwarded to an automatic voice message system."},
				{machine: true, text: "This is the mailbox of extension four two seven. Leave a message, or press zero for the operator."},
				{machine: true, language: "de", text: "Guten Tag, Sie haben den Anschluss von Familie Weber gewählt. Wir sind leider nicht zu Hause. Bitte sprechen Sie nach dem Ton."},
				{machine: true, language: "it", text: "Risponde la segreteria telefonica di Paolo Rossi. Lasciate un messaggio dopo il segnale acustico."},
				{machine: true, text: "Hey, it's Mike. You know what to do."},
				{machine: true, text: "Please leave your message for, Emily Stone. When you are finished, hang up, or press pound for more options."},
			},
		},
		{
			title: "The other half", voices: []string{"awb", "rms", "espeak en-gb", "espeak en-gb+f3"},
			beeps: []beepSound{{850, 400 * time.Millisecond}, {}, {440, 800 * time.Millisecond}, {1330, 200 * time.Millisecond}},
			greetings: []greeting{
				{text: "Hello."}, {text: "Yeah?"}, {text: "Miller, good morning."}, {text: "Hello, Thompson here."}, {text: "Good evening?"},
				{text: "This is Peter."}, {text: "Hello, who's calling?"}, {text: "Green Gardens, hello."}, {text: "Reception."},
				{text: "Hi, Anna."}, {text: "Schmidt, hallo?", language: "de"}, {text: "Ja, bitte?", language: "de"}, {text: "Diga?", language: "es"}, {text: "Allô, oui?", language: "fr"},
				{machine: true, text: "Hello, you've reached Robert Hill. I'm away from my desk at the moment, so please leave your name and a short message."},
				{machine: true, text: "Welcome to the voice mailbox of Linda Brown. Record your message after the tone, and press the hash key to end."},
				{machine: true, text: "Hi there! I can't answer at the moment. Leave a message and I'll get back to you."},
				{machine: true, text: "The number you have dialled is not in service. Please check the number and dial again."},
				{machine: true, text: "You are through to Baker and Sons. All our colleagues are busy. Please hold the line."},
				{machine: true, text: "The mobile phone you called is switched off. Please try again later."},
				{machine: true, text: "This is an answering machine. Speak now."},
				{machine: true, text: "Good day. This is the office of Doctor Ellis. We are closed until Monday. In an emergency, please call the hospital."},
				{machine: true, text: "I'm sorry, nobody is here to take your call. Please leave a message after the beep."},
				{machine: true, text: "Hello! Sorry to have missed you. Try me again tomorrow."},
				{machine: true, language: "de", text: "Hier ist die Mailbox von Karin Schulz. Bitte hinterlassen Sie eine Nachricht nach dem Signalton."},
				{machine: true, language: "es", text: "Ahora no puedo atender su llamada. Deje su mensaje después de la señal."},
				{machine: true, language: "fr", text: "Bonjour, vous êtes bien sur le répondeur de Marie Dupont. Laissez-moi un message après le bip sonore."},
				{machine: true, text: "O'Brien residence. Leave a message."},
			},
		},
	}
}

// hard are greetings that are not as those of people and machines mostly are: nothing
// is promised of them, but it is said what becomes of them.
func hard() half {
	return half{
		title: "People who talk like machines, and machines that talk like people", voices: []string{"awb", "rms", "slt", "espeak en-gb+f3"}, beeps: []beepSound{{1000, 500 * time.Millisecond}},
		greetings: []greeting{
			{text: "Good morning, Miller and Company, this is Anna speaking, how can I help you?"},
			{text: "Hello, city hospital, emergency room, what can I do for you?"},
			{text: "Hello? I can hardly hear you, who is calling please?"},
			{machine: true, text: "Anna Miller."},
			{machine: true, text: "Message, please."},
			{machine: true, text: "Leave a message."},
		},
	}
}

// answer is one greeting as a call brings it.
type answer struct {
	greeting
	voice string
	speed float64 // 1 is the voice's own
	pitch float64 // 1 is the voice's own
	beep  beepSound
	seed  uint64
}

// is says who answers.
func (g greeting) is() vad.Who {
	if g.machine {
		return vad.ByMachine
	}
	return vad.ByHuman
}

// answers are every greeting of a half by every voice that speaks its language, each
// at another speed, pitch and tone. The combinations are always the same.
func (h half) answers() []answer {
	var out []answer
	r := rand.New(rand.NewPCG(7, uint64(len(h.voices[0]))))
	for i, g := range h.greetings {
		voices := h.voices
		if g.language != "" {
			voices = []string{"espeak " + g.language, "espeak " + g.language + "+f4"}
		}
		for k, v := range voices {
			a := answer{greeting: g, voice: v, seed: uint64(i*100 + k)}
			a.speed, a.pitch = 0.85+0.4*r.Float64(), 0.85+0.3*r.Float64()
			if g.machine {
				a.beep = h.beeps[r.IntN(len(h.beeps))]
			}
			out = append(out, a)
		}
	}
	return out
}

// line is what the answer's side of the call sounds like: what is before the first
// word, the words, a machine's tone, and what follows.
func (a answer) line(t testing.TB) []int16 {
	t.Helper()
	r := rand.New(rand.NewPCG(a.seed, 99))
	quiet := func(least, most time.Duration) []int16 {
		return make([]int16, count(least+time.Duration(r.Int64N(int64(most-least)))))
	}
	line := quiet(100*time.Millisecond, 1200*time.Millisecond)
	line = append(line, a.spoken(t)...)
	if a.beep.length > 0 {
		line = append(line, quiet(300*time.Millisecond, 1500*time.Millisecond)...)
		line = append(line, sine(a.beep.hz, -14, a.beep.length)...)
	}
	return append(line, make([]int16, 6*vad.Rate)...)
}

// telephone is a line as it comes out of a telephone, with noise of a level in dB of
// full scale.
func telephone(line []int16, level float64, seed uint64) []int16 {
	line = slices.Clone(line)
	r := rand.New(rand.NewPCG(seed, 11))
	audio.MixAdd(line, noise(r, level, len(line)))
	narrow := (&audio.Clip{Rate: vad.Rate, Samples: line}).At(8000).Samples
	coded := make([]byte, len(narrow))
	g711.EncodeMu(coded, narrow)
	g711.DecodeMu(narrow, coded)
	return (&audio.Clip{Rate: 8000, Samples: narrow}).At(vad.Rate).Samples
}

func count(d time.Duration) int { return int(d * vad.Rate / time.Second) }

// sine is a tone, of a level in dB of full scale.
func sine(hz, level float64, d time.Duration) []int16 {
	out := make([]int16, count(d))
	for i := range out {
		out[i] = int16(32767 * math.Sqrt2 * math.Pow(10, level/20) * math.Sin(2*math.Pi*hz*float64(i)/vad.Rate))
	}
	return out
}

// spoken is the greeting by its voice, at the level of a telephone.
func (a answer) spoken(t testing.TB) []int16 {
	t.Helper()
	file := filepath.Join(t.TempDir(), "said.wav")
	program, args := "flite", []string{
		"-voice", a.voice, "--setf", fmt.Sprintf("duration_stretch=%.3f", 1/a.speed),
		"--setf", fmt.Sprintf("int_f0_target_mean=%.0f", 105*a.pitch), "-t", a.text, "-o", file,
	}
	if espeak, ok := strings.CutPrefix(a.voice, "espeak "); ok {
		program, args = "espeak-ng", []string{
			"-v", espeak, "-s", fmt.Sprintf("%.0f", 165*a.speed), "-p", fmt.Sprintf("%.0f", 50*a.pitch), "-w", file, a.text,
		}
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput() //nolint:gosec // our own words
	if err != nil {
		t.Fatalf("%s: %v: %s; make deps installs the programs that the tests need", program, err, out)
	}
	clip := load(t, file)
	spoken := clip.At(vad.Rate).Samples
	audio.Gain(spoken, math.Pow(10, (-22-audio.Measure(spoken).RMS)/20))
	return spoken
}

// load is a WAV file.
func load(t testing.TB, file string) *audio.Clip {
	t.Helper()
	b, err := os.ReadFile(file) //nolint:gosec // we named it
	if err != nil {
		t.Fatal(err)
	}
	clip, err := decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return clip
}

// noise is a while of noise of this level, in dB of full scale.
func noise(r *rand.Rand, level float64, samples int) []int16 {
	amplitude := 32768 * math.Pow(10, level/20)
	out := make([]int16, samples)
	for i := range out {
		out[i] = int16(max(-32768, min(32767, r.NormFloat64()*amplitude)))
	}
	return out
}
