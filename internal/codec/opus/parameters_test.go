package opus

import "testing"

func TestParseParameters(t *testing.T) {
	for in, want := range map[string]Parameters{
		"":                                {},
		"minptime=10;useinbandfec=1":      {FEC: true},
		"useinbandfec=0; stereo=1;;=":     {Stereo: true},
		" UseInbandFEC = 1 ; usedtx=1":    {FEC: true, DTX: true},
		"maxaveragebitrate=20000":         {Bitrate: 20000},
		"maxaveragebitrate=1":             {Bitrate: 6000},
		"maxaveragebitrate=9999999":       {Bitrate: 510000},
		"maxaveragebitrate=-5;stereo=yes": {},
		"maxaveragebitrate=1e5;usedtx":    {},
	} {
		if got := ParseParameters(in); got != want {
			t.Errorf("%q gives %+v, want %+v", in, got, want)
		}
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("minptime=10;useinbandfec=1")
	f.Add("maxaveragebitrate=99999999999999999999; stereo = 1;=;;")
	f.Fuzz(func(t *testing.T, s string) {
		if p := ParseParameters(s); p.Bitrate != 0 && (p.Bitrate < 6000 || p.Bitrate > 510000) {
			t.Errorf("%q: %+v", s, p)
		}
	})
}
