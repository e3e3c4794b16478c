package opus

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/native"
	"tapedeck/internal/testkit"
)

const frame20 = SampleRate / 50

// sine is a tone of so many Hz at −12 dBFS on every channel.
func sine(hz float64, frames, channels int) []int16 {
	out := make([]int16, frames*channels)
	for i := range out {
		out[i] = int16(8192 * math.Sin(2*math.Pi*hz*float64(i/channels)/SampleRate))
	}
	return out
}

// vowel is what a voice gives: pulses of a glottis through the resonances of a
// mouth, swelling four times a second.
func vowel(frames int) []int16 {
	raw := make([]float64, frames)
	phase := 0.0
	for i := range raw {
		at := float64(i) / SampleRate
		if phase += (120 + 10*math.Sin(2*math.Pi*3*at)) / SampleRate; phase >= 1 {
			phase--
			raw[i] = 1
		}
	}
	for _, f := range []struct{ hz, width float64 }{{700, 130}, {1220, 70}, {2600, 160}} {
		r := math.Exp(-math.Pi * f.width / SampleRate)
		b1, b2 := 2*r*math.Cos(2*math.Pi*f.hz/SampleRate), -r*r
		y1, y2 := 0.0, 0.0
		for i, x := range raw {
			y := x + b1*y1 + b2*y2
			raw[i], y1, y2 = y, y, y1
		}
	}
	top := 0.0
	for _, v := range raw {
		top = max(top, math.Abs(v))
	}
	out := make([]int16, frames)
	for i, v := range raw {
		swell := 0.6 + 0.4*math.Sin(2*math.Pi*4*float64(i)/SampleRate)
		out[i] = int16(12000 * swell * v / top)
	}
	return out
}

// encode makes packets of 20 ms.
func encode(t testing.TB, o EncoderOptions, pcm []int16) (packets [][]byte, lookahead int) {
	t.Helper()
	e, err := NewEncoder(o)
	if err != nil {
		t.Fatal(err)
	}
	for frame := range slices.Chunk(pcm, frame20*e.channels) {
		b := make([]byte, MaxPacket)
		n, err := e.Encode(b, frame)
		if err != nil {
			t.Fatal(err)
		}
		packets = append(packets, b[:n])
	}
	return packets, e.Lookahead()
}

func decode(t testing.TB, o Options, packets [][]byte) []int16 {
	t.Helper()
	d, err := NewDecoder(o)
	if err != nil {
		t.Fatal(err)
	}
	var out []int16
	buf := make([]int16, 2*MaxFrame)
	for _, p := range packets {
		n, err := d.Decode(buf, p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, buf[:n]...)
	}
	return out
}

func level(pcm []int16) float64 {
	sum := 0.0
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(max(sum/float64(max(len(pcm), 1)), 1e-9)/(32768*32768))
}

// noise is how far got is from want, against want, dB; both of one length.
func noise(want, got []int16) float64 {
	var signal, diff float64
	for i := range want {
		d := float64(want[i]) - float64(got[i])
		signal += float64(want[i]) * float64(want[i])
		diff += d * d
	}
	return 10 * math.Log10(max(diff, 1)/signal)
}

func TestToneThroughEncoderAndDecoders(t *testing.T) {
	for _, test := range []struct {
		name           string
		encoded, heard int
		absent         bool
	}{
		{"mono", 1, 1, false},
		{"stereo", 2, 2, false},
		{"stereo heard on one", 2, 1, false},
		{"mono heard on two", 1, 2, false},
		{"mono in Go", 1, 1, true},
		{"stereo in Go", 2, 2, true},
		{"stereo heard on one in Go", 2, 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			const frames = 50 * frame20
			packets, lag := encode(t, EncoderOptions{Options: Options{Channels: test.encoded}, Music: true, Bitrate: 96000}, sine(440, frames, test.encoded))
			got := decode(t, Options{Channels: test.heard, Absent: test.absent}, packets)
			if len(got) != frames*test.heard {
				t.Fatalf("%d values of %d", len(got), frames*test.heard)
			}
			want := sine(440, frames, test.heard)
			from := frame20 * test.heard // the first frame swells
			n := noise(want[from:len(want)-lag*test.heard], got[from+lag*test.heard:])
			if n > -25 {
				t.Errorf("noise at %.1f dB, a lag of %d samples taken off", n, lag)
			}
			if l := level(got[from:]); math.Abs(l-level(want[from:])) > 0.3 {
				t.Errorf("level %.2f dBFS of %.2f", l, level(want[from:]))
			}
		})
	}
}

// The two decoders agree on everything that an encoder can be asked for.
func TestBothDecodersAgree(t *testing.T) {
	for _, o := range []EncoderOptions{
		{Bitrate: 8000}, {Bitrate: 12000}, {Bitrate: 16000, FEC: true}, {Bitrate: 24000}, {Bitrate: 32000, FEC: true},
		{Bitrate: 64000}, {Music: true, Bitrate: 64000}, {Options: Options{Channels: 2}, Bitrate: 40000},
	} {
		in := vowel(50 * frame20)
		if o.Channels == 2 {
			wide := make([]int16, 2*len(in))
			for i, v := range in {
				wide[2*i], wide[2*i+1] = v, v/2
			}
			in = wide
		}
		packets, _ := encode(t, o, in)
		a, b := decode(t, o.Options, packets), decode(t, Options{Channels: o.Channels, Absent: true}, packets)
		if len(a) != len(b) {
			t.Fatalf("%+v: %d and %d values", o, len(a), len(b))
		}
		if n := noise(a, b); n > -30 {
			t.Errorf("%+v: they differ by %.1f dB", o, n)
		}
	}
}

func TestConceal(t *testing.T) {
	for _, absent := range []bool{false, true} {
		d, err := NewDecoder(Options{Absent: absent})
		if err != nil {
			t.Fatal(err)
		}
		if d.Native() == absent {
			t.Fatal("the other decoder came")
		}
		buf := make([]int16, 10*frame20)
		d.Conceal(buf)
		if level(buf) > -90 {
			t.Errorf("absent %t: before the first frame there is %.0f dBFS", absent, level(buf))
		}
		packets, _ := encode(t, EncoderOptions{}, vowel(20*frame20))
		out := make([]int16, MaxFrame)
		for _, p := range packets {
			if _, err := d.Decode(out, p); err != nil {
				t.Fatal(err)
			}
		}
		heard := level(out[:frame20])
		at := 0
		for _, n := range []int{1, 7, 120, 159, 441, 480, 1000, 2000} { // any length
			d.Conceal(buf[at : at+n])
			at += n
		}
		early, late, after := level(buf[:480]), level(buf[5*480:fadeEnd]), level(buf[fadeEnd:at])
		if early < heard-6 || early > heard+3 {
			t.Errorf("absent %t: %.1f dBFS became %.1f in the first 10 ms", absent, heard, early)
		}
		if late > early-10 {
			t.Errorf("absent %t: from %.1f it faded to %.1f only", absent, early, late)
		}
		if after > -90 {
			t.Errorf("absent %t: after 60 ms there is still %.1f dBFS", absent, after)
		}
		// The next frame is heard again, and after Reset there is nothing to go on.
		if _, err := d.Decode(out, packets[9]); err != nil || level(out[:frame20]) < -50 {
			t.Errorf("absent %t: after concealment %.1f dBFS, %v", absent, level(out[:frame20]), err)
		}
		d.Reset()
		if d.Conceal(buf); level(buf) > -90 {
			t.Errorf("absent %t: after a reset %.1f dBFS", absent, level(buf))
		}
	}
}

// Frames that were lost come back from the packets after them, and nearer to
// the truth than concealment guesses.
func TestRecover(t *testing.T) {
	packets, _ := encode(t, EncoderOptions{Bitrate: 32000, FEC: true, Loss: 20}, vowel(100*frame20))
	whole := decode(t, Options{}, packets)
	run := func(useful bool) (off float64, recovered int) {
		d, err := NewDecoder(Options{})
		if err != nil {
			t.Fatal(err)
		}
		var out []int16
		frame := make([]int16, frame20)
		for i, p := range packets {
			if i%5 == 3 {
				n := 0
				if useful {
					if n, err = d.Recover(frame, packets[i+1]); err != nil {
						t.Fatal(err)
					}
				}
				if n == 0 {
					d.Conceal(frame)
				} else {
					recovered++
				}
			} else if _, err := d.Decode(frame, p); err != nil {
				t.Fatal(err)
			}
			out = append(out, frame...)
		}
		return noise(whole, out), recovered
	}
	guessed, _ := run(false)
	told, recovered := run(true)
	if recovered < 10 { // the encoder repeats what it takes for speech
		t.Errorf("%d of 20 frames recovered", recovered)
	}
	if told > guessed-3 {
		t.Errorf("recovered frames are %.1f dB off, guessed ones %.1f", told, guessed)
	}
}

func TestRecoverFillsALongerGap(t *testing.T) {
	packets, _ := encode(t, EncoderOptions{Bitrate: 32000, FEC: true, Loss: 20}, vowel(30*frame20))
	next := slices.IndexFunc(packets[20:], func(b []byte) bool { p, err := Parse(b); return err == nil && p.Recovers }) + 20
	if next < 20 {
		t.Fatal("no packet repeats the frame before it")
	}
	d, err := NewDecoder(Options{})
	if err != nil {
		t.Fatal(err)
	}
	frame, gap := make([]int16, frame20), make([]int16, 3*frame20)
	for _, p := range packets[:next-3] {
		if _, err := d.Decode(frame, p); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Recover(gap, packets[next]); n != len(gap) || err != nil {
		t.Fatalf("%d of %d values, %v", n, len(gap), err)
	}
	if last := level(gap[2*frame20:]); last < -40 {
		t.Errorf("the frame before the packet has %.1f dBFS", last)
	}
	for name, p := range map[string][]byte{"without redundancy": {0xf8, 1, 2, 3}, "DTX": {0x48}} {
		if n, err := d.Recover(frame, p); n != 0 || err != nil {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
	if _, err := d.Recover(frame, nil); !errors.Is(err, ErrPacket) {
		t.Errorf("of nothing: %v", err)
	}
}

// A silent party sends a packet of a byte or two now and then; the file keeps
// its length and stays silent.
func TestDTX(t *testing.T) {
	in := append(vowel(50*frame20), make([]int16, 100*frame20)...)
	packets, _ := encode(t, EncoderOptions{DTX: true}, in)
	empty := 0
	for _, p := range packets[60:] {
		if len(p) <= 2 {
			empty++
		}
	}
	if empty < 50 {
		t.Fatalf("%d of 90 packets of silence are empty", empty)
	}
	for _, absent := range []bool{false, true} {
		got := decode(t, Options{Absent: absent}, packets)
		if len(got) != len(in) {
			t.Errorf("absent %t: %d samples of %d", absent, len(got), len(in))
		}
		if l := level(got[100*frame20:]); l > -60 {
			t.Errorf("absent %t: the silence has %.1f dBFS", absent, l)
		}
	}
}

func TestWithoutLibopus(t *testing.T) {
	_, err := NewEncoder(EncoderOptions{Options: Options{Absent: true}})
	var missing *native.MissingError
	if !errors.As(err, &missing) || missing.Package != "libopus0" || !strings.Contains(err.Error(), "libopus0") {
		t.Errorf("encoder: %v", err)
	}
	if err := Available(Options{Absent: true}); !errors.Is(err, native.ErrMissing) {
		t.Errorf("available: %v", err)
	}
	if err := Available(Options{}); err != nil {
		t.Error(err)
	}
}

func TestImpossibleRequests(t *testing.T) {
	for _, n := range []int{-1, 3} {
		if _, err := NewDecoder(Options{Channels: n}); err == nil {
			t.Errorf("decoder of %d channels", n)
		}
		if _, err := NewEncoder(EncoderOptions{Options: Options{Channels: n}}); err == nil {
			t.Errorf("encoder of %d channels", n)
		}
	}
	if _, err := NewEncoder(EncoderOptions{Bitrate: 3, Complexity: 99}); err == nil {
		t.Error("complexity 99 was taken")
	}
	e, err := NewEncoder(EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 100, 961, 2881} {
		if _, err := e.Encode(make([]byte, MaxPacket), make([]int16, n)); err == nil {
			t.Errorf("a frame of %d samples was taken", n)
		}
	}
	if _, err := e.Encode(nil, make([]int16, frame20)); err == nil {
		t.Error("a packet fits into nothing")
	}
	d, err := NewDecoder(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Decode(make([]int16, frame20-1), []byte{0x48, 1, 2}); err == nil {
		t.Error("20 ms fit into less")
	}
	if _, err := d.Decode(make([]int16, frame20), []byte{0x4b}); !errors.Is(err, ErrPacket) {
		t.Errorf("no packet: %v", err)
	}
}

func TestNothingIsAllocatedPerFrame(t *testing.T) {
	packets, _ := encode(t, EncoderOptions{FEC: true}, vowel(10*frame20))
	e, err := NewEncoder(EncoderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := NewDecoder(Options{})
	if err != nil {
		t.Fatal(err)
	}
	pcm, b := make([]int16, frame20), make([]byte, MaxPacket)
	if got := testing.AllocsPerRun(100, func() {
		if _, err := d.Decode(pcm, packets[5]); err != nil {
			t.Fatal(err)
		}
		d.Conceal(pcm[:100])
		if _, err := d.Recover(pcm, packets[5]); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Encode(b, pcm); err != nil {
			t.Fatal(err)
		}
	}); got != 0 && !testkit.Race {
		t.Errorf("%v allocations per frame", got)
	}
}

func BenchmarkDecode(b *testing.B) {
	packets, _ := encode(b, EncoderOptions{}, vowel(100*frame20))
	for name, absent := range map[string]bool{"libopus": false, "go": true} {
		b.Run(name, func(b *testing.B) {
			d, err := NewDecoder(Options{Absent: absent})
			if err != nil {
				b.Fatal(err)
			}
			pcm, i := make([]int16, MaxFrame), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(pcm, packets[i%len(packets)]); err != nil {
					b.Fatal(err)
				}
				i++
			}
			b.ReportMetric(float64(b.N)/50/b.Elapsed().Seconds(), "x-real-time")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	in := vowel(100 * frame20)
	e, err := NewEncoder(EncoderOptions{})
	if err != nil {
		b.Fatal(err)
	}
	packet, i := make([]byte, MaxPacket), 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Encode(packet, in[i%100*frame20:(i%100+1)*frame20]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64(b.N)/50/b.Elapsed().Seconds(), "x-real-time")
}
