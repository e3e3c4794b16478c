package opus

import (
	"slices"
	"testing"
)

// A sender that begins to speak, or ends, in the middle of a packet sends frames
// with audio beside frames without. Those with audio are heard.
func TestPacketsThatAreSilentInPart(t *testing.T) {
	packets, _ := encode(t, EncoderOptions{Bitrate: 32000}, vowel(20*frame20))
	one := packets[10]
	if one[0]&3 != 0 || len(one) > 252 {
		t.Fatalf("a packet of %d bytes that begins with %x", len(one), one[0])
	}
	size := byte(len(one) - 1)
	pack := func(code byte, head []byte, bodies ...[]byte) []byte {
		return append(append([]byte{one[0] | code}, head...), slices.Concat(bodies...)...)
	}
	body := one[1:]
	for name, test := range map[string]struct {
		packet []byte
		heard  []bool
	}{
		"one":               {one, []bool{true}},
		"two":               {pack(1, nil, body, body), []bool{true, true}},
		"the second":        {pack(2, []byte{0}, body), []bool{false, true}},
		"the first":         {pack(2, []byte{size}, body), []bool{true, false}},
		"the middle":        {pack(3, []byte{0x83, 0, size}, body), []bool{false, true, false}},
		"the outer ones":    {pack(3, []byte{0x83, size, 1}, body, []byte{9}, body), []bool{true, false, true}},
		"padded":            {pack(3, []byte{0xc2, 3, 0}, body, make([]byte, 3)), []bool{false, true}},
		"none":              {pack(3, []byte{3}), []bool{false, false, false}},
		"three, even sizes": {pack(3, []byte{3}, body, body, body), []bool{true, true, true}},
	} {
		d, err := NewDecoder(Options{Absent: true})
		if err != nil {
			t.Fatal(err)
		}
		reference, err := NewDecoder(Options{Absent: true})
		if err != nil {
			t.Fatal(err)
		}
		got, want := make([]int16, len(test.heard)*frame20), make([]int16, frame20)
		if n, err := d.Decode(got, test.packet); n != len(got) || err != nil {
			t.Errorf("%s: %d samples of %d, %v", name, n, len(got), err)
			continue
		}
		for i, heard := range test.heard {
			if !heard {
				reference.Conceal(want)
			} else if _, err := reference.Decode(want, one); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got[i*frame20:(i+1)*frame20], want) {
				t.Errorf("%s: frame %d is another", name, i)
			}
		}
	}
}
