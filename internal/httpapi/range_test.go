package httpapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPlainRange: what the standard library gets to see of a Range; empty is
// none.
func TestPlainRange(t *testing.T) {
	for asked, want := range map[string]string{
		"":                                   "",
		"bytes=0-1":                          "bytes=0-1",
		"bytes=0-":                           "bytes=0-",
		"bytes=-5, 007-9":                    "bytes=-5,007-9",
		"Bytes=0-1":                          "bytes=0-1",
		"items=0-1":                          "",
		"bytes":                              "bytes=",
		"bytes=":                             "bytes=",
		"bytes=x":                            "bytes=x",
		"bytes=1-x":                          "bytes=1-x",
		"bytes=-":                            "bytes=-",
		"bytes=-0":                           "bytes=999999999999999999-",
		"bytes=-0,-000":                      "bytes=999999999999999999-",
		"bytes=-0,1-2":                       "bytes=1-2",
		"bytes=0-" + strings.Repeat("9", 40): "bytes=0-999999999999999999",
		"bytes=0-" + strings.Repeat("0", 40): "bytes=0-" + strings.Repeat("0", 40),
		"bytes=0-0" + strings.Repeat(",0-0", maxRanges-1): "bytes=0-0" + strings.Repeat(",0-0", maxRanges-1),
		"bytes=0-0" + strings.Repeat(",0-0", maxRanges):   "",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", asked)
		if got := plainRange(r).Header.Get("Range"); got != want {
			t.Errorf("%q became %q, want %q", asked, got, want)
		}
		if r.Header.Get("Range") != asked {
			t.Errorf("%q: the request itself was changed", asked)
		}
	}
}
