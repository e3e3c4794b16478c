package render

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tapedeck/internal/codec"
	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// leg is a stretch of a talker's stream in one codec.
type leg struct {
	codec  string
	frames int // of 20 ms
}

// talker sends a tone, in codecs that change.
type talker struct {
	track  uint16
	freq   float64
	level  float64 // amplitude; 0 = 10000
	legs   []leg
	lost   func(frame int) bool
	delay  func(frame int) time.Duration
	silent func(frame int) bool // not sent; sequence numbers go on
	noise  func(frame int) byte // level of a comfort noise packet at the begin of a silent frame; 0 = none
	fmtp   string
	wave   func(at float64) float64 // instead of the tone: -1 to 1 at a time in seconds
}

// formats are the codecs of the tests, by name, with the payload types of a call.
func formats(t testing.TB) map[string]codec.Info {
	out := map[string]codec.Info{}
	for name, key := range map[string]struct {
		name  string
		clock int
	}{
		"PCMU": {"PCMU", 0}, "PCMA": {"PCMA", 0}, "G722": {"G722", 0}, "opus": {"opus", 0},
		"L16/16": {"L16", 16000}, "L16/44": {"L16", 44100}, "CN": {"CN", 0},
	} {
		info, ok := codec.Lookup(key.name, key.clock)
		if !ok {
			t.Fatalf("no codec %s", name)
		}
		out[name] = info
	}
	return out
}

// agreed is a table of codecs, as a journal has it.
func agreed(t testing.TB, names ...string) []journal.Codec {
	var out []journal.Codec
	for _, n := range names {
		i := formats(t)[n]
		out = append(out, journal.Codec{PT: i.PT, Name: i.Name, ClockRate: i.ClockRate, SampleRate: i.SampleRate, Channels: i.Channels})
	}
	return out
}

// talking is a call whose tracks have these tables.
func talking(tables ...[]journal.Codec) *scene {
	s := newScene()
	for n, table := range tables {
		call, role := "A", "caller"
		if n > 0 {
			call, role = "B", "callee"
		}
		s.add(0, journal.Entry{Kind: journal.KindTrackOpened, Track: uint16(n), Detail: journal.Detail{
			Call: call, Party: call, Role: role, Codecs: table,
		}})
	}
	return s.begin(0).join(0, "A", "B")
}

// talk adds the talker's packets. Frame i is spoken from 20·i ms on and arrives 20
// ms later.
func (s *scene) talk(t testing.TB, p talker) *scene {
	t.Helper()
	if p.level == 0 {
		p.level = 10000
	}
	if p.wave == nil {
		p.wave = func(at float64) float64 { return math.Sin(2 * math.Pi * p.freq * at) }
	}
	frame, seq, pcm, payload := 0, uint16(65500), make([]int16, 2*960), make([]byte, 4000)
	stamp := uint32(0xffff0000)
	for _, l := range p.legs {
		info := formats(t)[l.codec]
		enc, err := codec.NewEncoderFor(info, p.fmtp)
		if err != nil {
			t.Fatal(err)
		}
		n := info.SampleRate / 50
		for range l.frames {
			for i := range n {
				v := int16(p.level * p.wave(float64(frame)/50+float64(i)/float64(info.SampleRate)))
				for c := range info.Channels {
					pcm[i*info.Channels+c] = v
				}
			}
			size, err := enc.Encode(payload, pcm[:n*info.Channels])
			if err != nil {
				t.Fatal(err)
			}
			at := time.Duration(frame+1) * 20 * ms
			e := journal.Entry{Kind: journal.KindPacket, Track: p.track, Packet: journal.Packet{
				Seq: seq, Time: stamp, SSRC: 77, PT: info.PT, Payload: slices.Clone(payload[:size]),
			}}
			hushed := p.silent != nil && p.silent(frame)
			if hushed && p.noise != nil && p.noise(frame) != 0 {
				e.Packet.PT, e.Packet.Payload, hushed = 13, []byte{p.noise(frame)}, false
			}
			if p.delay != nil {
				at += p.delay(frame)
			}
			if !hushed {
				seq++
				if p.lost == nil || !p.lost(frame) {
					s.add(at, e)
				}
			}
			stamp += uint32(info.ClockRate / 50)
			frame++
		}
	}
	return s
}

// tone is the amplitude of a frequency in audio.
func tone(pcm []int16, freq float64, rate int) float64 {
	var re, im, sum float64
	for i, v := range pcm {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*(float64(i)+0.5)/float64(len(pcm)))
		s, c := math.Sincos(2 * math.Pi * freq * float64(i) / float64(rate))
		re, im, sum = re+w*float64(v)*c, im+w*float64(v)*s, sum+w
	}
	return 2 * math.Hypot(re, im) / sum
}

func rms(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(max(len(pcm), 1)))
}

// roughness is how far samples are from what the two before them predict for a
// tone: small in a tone of whatever phase, large where it breaks.
func roughness(pcm []int16, freq float64, rate int) []float64 {
	k := 2 * math.Cos(2*math.Pi*freq/float64(rate))
	out := make([]float64, len(pcm))
	for i := 2; i < len(pcm); i++ {
		out[i] = math.Abs(float64(pcm[i]) - k*float64(pcm[i-1]) + float64(pcm[i-2]))
	}
	return out
}

// opusOr is Opus where this machine can make it.
func opusOr(t testing.TB, other string) string {
	if codec.Encodable(formats(t)["opus"]) {
		return "opus"
	}
	return other
}

func TestCodecChangesInTheCall(t *testing.T) {
	wide := opusOr(t, "L16/16")
	legs := []leg{{"PCMU", 50}, {"G722", 50}, {wide, 50}, {"PCMA", 50}, {"L16/16", 50}}
	table := agreed(t, "PCMU", "G722", "PCMA", "L16/16", wide)
	s := talking(table).talk(t, talker{freq: 440, legs: legs}).stop(5*time.Second, voice.EndCallEnded)
	r := render(t, s.write(t), Layout{})
	hz := r.receipt.SampleRate
	if want := formats(t)[wide].SampleRate; hz != want || len(r.sides[0]) != 5*hz {
		t.Fatalf("%d samples at %d Hz", len(r.sides[0]), hz)
	}
	for at := 0; at+hz/10 <= len(r.sides[0]); at += hz / 10 {
		if ms := at * 1000 / hz % 1000; ms == 0 || ms == 900 { // where codecs begin and end
			continue
		}
		part := r.sides[0][at : at+hz/10]
		if a := tone(part, 440, hz); math.Abs(20*math.Log10(a/10000)) > 0.5 {
			t.Errorf("at %d ms the tone has an amplitude of %.0f", at*1000/hz, a)
		}
		if all := rms(part); all > 10000/math.Sqrt2*1.06 {
			t.Errorf("at %d ms there is more than the tone: %.0f", at*1000/hz, all)
		}
	}
	a := r.receipt.Tracks[0]
	if len(a.Codecs) != len(legs) || a.ConcealedMs != 0 || a.Undecodable != 0 || a.Lost != 0 || len(a.Silence) != 0 {
		t.Errorf("%+v", a)
	}
	for i, c := range a.Codecs {
		if info := formats(t)[legs[i].codec]; c.Name != info.Name || c.Start != int64(i*hz) {
			t.Errorf("codec %d: %+v", i, c)
		}
	}
}

func TestSidesOfTwoRatesAreSeparate(t *testing.T) {
	for _, pair := range [][2]string{{"PCMU", "G722"}, {"PCMA", opusOr(t, "L16/16")}, {"L16/44", "PCMU"}} {
		s := talking(agreed(t, pair[0]), agreed(t, pair[1])).
			talk(t, talker{track: 0, freq: 500, legs: []leg{{pair[0], 100}}}).
			talk(t, talker{track: 1, freq: 1300, legs: []leg{{pair[1], 100}}}).
			stop(2*time.Second, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{Stereo: true})
		hz := r.receipt.SampleRate
		left, right := r.sides[0][hz/2:hz], r.sides[1][hz/2:hz]
		if l, x := tone(left, 500, hz), tone(left, 1300, hz); l < 9500 || x > 30 {
			t.Errorf("%v: left has %.0f of its own and %.1f of the other", pair, l, x)
		}
		if l, x := tone(right, 1300, hz), tone(right, 500, hz); l < 9500 || x > 30 {
			t.Errorf("%v: right has %.0f of its own and %.1f of the other", pair, l, x)
		}
		swapped := render(t, s.write(t), Layout{Stereo: true, Swap: true})
		if !slices.Equal(swapped.sides[0], r.sides[1]) || !slices.Equal(swapped.sides[1], r.sides[0]) {
			t.Errorf("%v: swapped sides are not the other ones", pair)
		}
		if p := swapped.receipt; !p.Swapped || p.Parties[0].Channel != 1 || p.Tracks[0].Side != 1 {
			t.Errorf("%v: %+v", pair, p)
		}
	}
}

// A telephone's tone in a file of a high rate brings nothing with it above 4 kHz.
func TestResampledAudioIsClean(t *testing.T) {
	for _, to := range []string{"G722", "opus", "L16/44"} {
		s := talking(agreed(t, "PCMU", to)).talk(t, talker{freq: 1000, legs: []leg{{"PCMU", 100}}}).stop(2*time.Second, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{})
		hz := r.receipt.SampleRate
		if hz != formats(t)[to].SampleRate {
			t.Fatalf("%d Hz with %s", hz, to)
		}
		part := r.sides[0][hz/2 : hz]
		own := tone(part, 1000, hz)
		for _, image := range []float64{7000, 9000, 15000, 17000} {
			if 2*image > float64(hz) {
				break
			}
			if db := 20 * math.Log10(tone(part, image, hz)/own); db > -75 {
				t.Errorf("%d Hz: %.1f dB at %.0f Hz", hz, db, image)
			}
		}
		if off := len(r.sides[0]) - 2*hz; off != 0 || math.Abs(own-10000) > 100 {
			t.Errorf("%d Hz: %d samples off, amplitude %.0f", hz, off, own)
		}
	}
}

func TestSequenceNumbersTellLossFromSilence(t *testing.T) {
	gone := func(from, n int) func(int) bool {
		return func(f int) bool { return f >= from && f < from+n }
	}
	for name, c := range map[string]struct {
		lost, silent func(int) bool
		concealed    int64 // ms
		silence      int64 // ms
		packets      int64 // lost
	}{
		"nothing":                {},
		"one lost":               {lost: gone(50, 1), concealed: 20, packets: 1},
		"three lost":             {lost: gone(50, 3), concealed: 60, packets: 3},
		"ten lost":               {lost: gone(50, 10), concealed: 60, silence: 140, packets: 10},
		"a hundred lost":         {lost: gone(50, 100), concealed: 60, silence: 1940, packets: 100},
		"silent":                 {silent: gone(50, 10), silence: 200},
		"silent for long":        {silent: gone(50, 130), silence: 2600},
		"one lost, then silent":  {lost: gone(49, 1), silent: gone(50, 10), concealed: 20, silence: 200, packets: 1},
		"silent, then one lost":  {lost: gone(60, 1), silent: gone(50, 10), concealed: 20, silence: 200, packets: 1},
		"lost in and out":        {lost: func(f int) bool { return f%10 == 3 }, concealed: 400, packets: 20},
		"lost beyond the window": {lost: gone(20, 170), concealed: 60, silence: 3340, packets: 170},
	} {
		for _, with := range []string{"PCMU", "G722", opusOr(t, "PCMA")} {
			s := talking(agreed(t, with)).talk(t, talker{freq: 500, legs: []leg{{with, 200}}, lost: c.lost, silent: c.silent}).stop(4*time.Second, voice.EndCallEnded)
			a := render(t, s.write(t), Layout{}).receipt.Tracks[0]
			if a.ConcealedMs != c.concealed || a.SilenceMs != c.silence || a.Lost != c.packets || a.AudioMs != 4000-c.silence {
				t.Errorf("%s, %s: concealed %d ms, silent %d ms, audio %d ms, %d lost; want %d, %d, %d, %d", name, with,
					a.ConcealedMs, a.SilenceMs, a.AudioMs, a.Lost, c.concealed, c.silence, 4000-c.silence, c.packets)
			}
			for _, sp := range a.Silence {
				if sp.Reason != SilenceNoPackets {
					t.Errorf("%s, %s: %+v", name, with, sp)
				}
			}
		}
	}
}

func TestConcealmentSoundsLikeTheTone(t *testing.T) {
	for _, with := range []string{"PCMU", "PCMA", "G722", "L16/16"} {
		lost := func(f int) bool { return f >= 40 && f%16 == 0 || f >= 150 && f < 156 }
		s := talking(agreed(t, with)).talk(t, talker{freq: 400, legs: []leg{{with, 200}}, lost: lost}).stop(4*time.Second, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{})
		hz, pcm := r.receipt.SampleRate, r.sides[0]
		for f := 48; f < 144; f += 16 {
			if part := pcm[f*hz/50 : (f+1)*hz/50]; rms(part) < 10000/math.Sqrt2*0.7 {
				t.Errorf("%s: frame %d is concealed with %.0f", with, f, rms(part))
			}
		}
		// A step of the tone's amplitude would be 10000.
		for i, v := range roughness(pcm, 400, hz) {
			if i > hz/50 && v > 2200 {
				t.Errorf("%s: a click of %.0f at %.1f ms", with, v, float64(i)*1000/float64(hz))
				break
			}
		}
		if !silent(pcm[153*hz/50+hz/400 : 156*hz/50]) {
			t.Errorf("%s: no silence after 60 ms of loss", with)
		}
	}
}

// A journal may name any clock rate for comfort noise.
func TestComfortNoiseOfAStrangeRate(t *testing.T) {
	for _, rate := range []int{1, 48000, 4000000} {
		table := agreed(t, "PCMU", "CN")
		table[1].ClockRate, table[1].SampleRate = rate, rate
		r := render(t, talking(table).talk(t, talker{
			freq: 600, legs: []leg{{"PCMU", 100}},
			silent: func(f int) bool { return f >= 40 && f < 80 },
			noise:  func(f int) byte { return map[int]byte{40: 40}[f] },
		}).stop(2*time.Second, voice.EndCallEnded).write(t), Layout{})
		if len(r.sides[0]) != 16000 || rms(r.sides[0][4000:6000]) < 5000 {
			t.Errorf("CN/%d: %d samples", rate, len(r.sides[0]))
		}
	}
}

func TestComfortNoiseStandsForSilence(t *testing.T) {
	for _, with := range []string{"PCMU", "G722", opusOr(t, "PCMA")} {
		s := talking(agreed(t, with, "CN")).talk(t, talker{
			freq: 600, legs: []leg{{with, 300}},
			silent: func(f int) bool { return f >= 100 && f < 200 },
			noise: func(f int) byte {
				return map[int]byte{100: 40, 150: 60}[f]
			},
		}).stop(6*time.Second, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{})
		hz, pcm, a := r.receipt.SampleRate, r.sides[0], r.receipt.Tracks[0]
		loud, soft := rms(pcm[21*hz/10:29*hz/10]), rms(pcm[31*hz/10:39*hz/10])
		if db := 20 * math.Log10(loud/32768); with != "opus" && math.Abs(db+40) > 3 {
			t.Errorf("%s: noise of -40 dBov has %.1f dBov", with, db)
		}
		if with != "opus" && (soft > loud/5 || soft < loud/20) {
			t.Errorf("%s: noise of %.1f becomes %.1f", with, loud, soft)
		}
		if own := tone(pcm[5*hz:55*hz/10], 600, hz); own < 9500 {
			t.Errorf("%s: after the noise the tone has %.0f", with, own)
		}
		if a.ConcealedMs != 0 || a.Lost != 0 || a.Other != 2 || a.SilenceMs != 2000 {
			t.Errorf("%s: %+v", with, a)
		}
		if len(a.Silence) != 1 || a.Silence[0].Reason != SilenceComfortNoise || a.Silence[0].Start != int64(2*hz) || a.Silence[0].Length != int64(2*hz) {
			t.Errorf("%s: %+v", with, a.Silence)
		}
	}
}

// Codecs with a memory come out of disorder as they went in.
func TestDisorderChangesNothing(t *testing.T) {
	for _, with := range []string{"PCMU", "G722", opusOr(t, "PCMA")} {
		var files [][]int16
		for _, disorder := range []bool{false, true} {
			p := talker{freq: 700, legs: []leg{{with, 120}}}
			if disorder {
				p.delay = func(f int) time.Duration {
					if f%50 < 10 || f < 5 { // the envelope needs some that are in time
						return 0
					}
					return time.Duration(f*7919%190) * ms
				}
			}
			s := talking(agreed(t, with)).talk(t, p).stop(4*time.Second, voice.EndCallEnded)
			r := render(t, s.write(t), Layout{})
			files = append(files, r.sides[0])
			if a := r.receipt.Tracks[0]; a.Lost != 0 || a.ConcealedMs != 0 || (a.Late > 0) != disorder {
				t.Errorf("%s: %+v", with, a)
			}
		}
		if !slices.Equal(files[0], files[1]) {
			t.Errorf("%s: late packets change the audio", with)
		}
	}
}

// Opus may carry each frame twice: then a lost packet costs little.
func TestForwardErrorCorrection(t *testing.T) {
	info := formats(t)["opus"]
	if !codec.Encodable(info) {
		t.Log("without libopus there is no forward error correction to test")
		return
	}
	syllables := func(at float64) float64 { // a voice of 120 Hz, four syllables a second
		v := 0.0
		for k := 1.0; k < 12; k++ {
			v += math.Sin(2*math.Pi*120*k*at+k*k) / (k + 2)
		}
		return v / 2 * (0.6 + 0.4*math.Sin(2*math.Pi*4*at))
	}
	lost := func(f int) bool { return f > 20 && f%10 == 5 }
	var sums [2]int64
	for i, fmtp := range []string{"maxaveragebitrate=24000", "useinbandfec=1;maxaveragebitrate=24000"} {
		s := talking(agreed(t, "opus")).talk(t, talker{wave: syllables, legs: []leg{{"opus", 200}}, lost: lost, fmtp: fmtp}).
			stop(4*time.Second, voice.EndCallEnded)
		a := render(t, s.write(t), Layout{}).receipt.Tracks[0]
		if a.Lost != 18 || len(a.Silence) != 0 || a.AudioMs != 4000 {
			t.Errorf("%q: %+v", fmtp, a)
		}
		sums[i] = a.ConcealedMs
	}
	if sums[0] != 360 || sums[1] > 240 {
		t.Errorf("%d ms concealed without the packets' help, %d ms with it", sums[0], sums[1])
	}
}

func TestFileRate(t *testing.T) {
	for name, c := range map[string]struct {
		table []journal.Codec
		more  []journal.Codec
		sends string
		want  int
	}{
		"G.711":                       {table: agreed(t, "PCMU", "CN"), want: 8000},
		"G.722":                       {table: agreed(t, "PCMU", "G722"), want: 16000},
		"Opus":                        {table: agreed(t, "opus", "PCMU"), want: 48000},
		"of the other party":          {table: agreed(t, "PCMU"), more: agreed(t, "G722"), want: 16000},
		"of CD":                       {table: agreed(t, "L16/44", "G722"), want: 44100},
		"of one that was not told of": {table: agreed(t, "PCMU"), sends: "G722", want: 16000},
		"unknown codec":               {table: []journal.Codec{{PT: 100, Name: "speex", ClockRate: 32000}}, want: 8000},
		"nothing told":                {want: 8000},
		"digits do not count":         {table: append(agreed(t, "PCMU"), journal.Codec{PT: 110, Name: "telephone-event", ClockRate: 48000}), want: 8000},
	} {
		tables := [][]journal.Codec{c.table}
		if c.more != nil {
			tables = append(tables, c.more)
		}
		s := talking(tables...)
		if c.sends != "" {
			s.talk(t, talker{freq: 500, legs: []leg{{c.sends, 60}}})
		}
		r := render(t, s.stop(1500*ms, voice.EndMaxLength).write(t), Layout{MaxLength: time.Second})
		if r.receipt.SampleRate != c.want || len(r.sides[0]) != c.want {
			t.Errorf("%s: %d samples at %d Hz, want %d", name, len(r.sides[0]), r.receipt.SampleRate, c.want)
		}
	}
}

// A file that is made while the call goes on begins as the final one does.
func TestFileSoFarIsTheBeginningOfTheFile(t *testing.T) {
	for _, with := range []string{"PCMU", "G722"} {
		lost := func(f int) bool { return f%9 == 4 }
		whole := talking(agreed(t, with)).talk(t, talker{freq: 500, legs: []leg{{with, 400}}, lost: lost})
		part := talking(agreed(t, with)).talk(t, talker{freq: 500, legs: []leg{{with, 200}}, lost: lost})
		a, b := render(t, part.write(t), Layout{}), render(t, whole.stop(8*time.Second, voice.EndCallEnded).write(t), Layout{})
		hz := a.receipt.SampleRate
		if len(a.sides[0]) != 4*hz {
			t.Fatalf("%s: %d samples so far", with, len(a.sides[0]))
		}
		if n := len(a.sides[0]) - hz/50; !slices.Equal(a.sides[0][:n], b.sides[0][:n]) {
			t.Errorf("%s: the file so far is not how the file begins", with)
		}
	}
}

// inTime is who is late, but for codecs of which nothing would come before the next
// codec does: where those belong, no packet says.
func inTime(p *talker, late func(int) bool) func(int) bool {
	exempt, first := map[int]bool{}, 0
	for _, l := range p.legs {
		some := false
		for f := first; f < first+l.frames; f++ {
			some = some || !late(f) && !p.lost(f) && !p.silent(f)
		}
		for f := first; f < first+l.frames; f++ {
			exempt[f] = !some
		}
		first += l.frames
	}
	return func(f int) bool { return late(f) && !exempt[f] }
}

// Whatever is lost, late, hushed and changed: the file is as long as the time was,
// and its account adds up.
func TestTheAccountAddsUp(t *testing.T) {
	names := []string{"PCMU", "PCMA", "G722", "L16/16", opusOr(t, "L16/44")}
	rapid.Check(t, func(rt *rapid.T) {
		var p talker
		p.freq = 600
		frames := 0
		for range rapid.IntRange(1, 4).Draw(rt, "codecs") {
			l := leg{rapid.SampledFrom(names).Draw(rt, "codec"), rapid.IntRange(1, 40).Draw(rt, "frames")}
			p.legs, frames = append(p.legs, l), frames+l.frames
		}
		marks := func(name string) func(int) bool {
			set := map[int]bool{}
			for _, from := range rapid.SliceOfN(rapid.IntRange(1, frames), 0, 4).Draw(rt, name) {
				for f := range rapid.IntRange(1, 9).Draw(rt, "length") {
					set[from+f] = true
				}
			}
			return func(f int) bool { return set[f] }
		}
		p.lost, p.silent = marks("lost"), marks("silent")
		late := inTime(&p, marks("late"))
		p.delay = func(f int) time.Duration {
			if late(f) {
				return 130 * ms
			}
			return 0
		}
		length := time.Duration(frames)*20*ms + time.Second
		s := talking(agreed(t, "PCMU", "PCMA", "G722", "L16/16", "L16/44", "opus")).talk(t, p).stop(length, voice.EndCallEnded)
		r := render(t, s.write(t), Layout{})
		a, ms := r.receipt.Tracks[0], length.Milliseconds()
		if r.receipt.DurationMs != ms || a.AudioMs+a.SilenceMs < ms-2 || a.AudioMs+a.SilenceMs > ms {
			rt.Fatalf("%d ms of file: %d of audio and %d of silence", r.receipt.DurationMs, a.AudioMs, a.SilenceMs)
		}
		if a.ConcealedMs > a.Lost*20 || a.ConcealedMs > a.AudioMs || a.Undecodable != 0 {
			rt.Fatalf("%+v", a)
		}
	})
}
