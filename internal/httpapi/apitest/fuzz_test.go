package apitest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"tapedeck/internal/voice"
)

// FuzzServer sends bodies to a whole server. Whatever they are, the answer is
// never the server's own fault, and every refusal is in the error shape.
func FuzzServer(f *testing.F) {
	n := Start(f)
	requests := []struct{ method, path string }{
		{http.MethodPost, n.WorkspacePath() + "/channels"},
		{http.MethodPatch, n.ChannelPath()},
		{http.MethodPost, n.ChannelPath() + "/calls/" + missing + "/recordings"},
		{http.MethodPost, n.ChannelPath() + "/calls/" + missing + "/bridge"},
		{http.MethodPatch, n.ChannelPath() + "/calls/" + missing},
		{http.MethodPatch, n.ChannelPath() + "/calls/" + missing + "/recordings/" + missing},
	}
	for i, seed := range []string{
		`{"number":"1","trunk":{"uri":"sip:a"},"inbound":{"sources":["192.0.2.0/24"],"callFlow":[{"command":"bridge","options":{"to":"{to}"}}]}}`,
		`{"name":"x","codecs":["PCMU"]}`, `{"maxLength":1,"stereo":true}`, `{"to":"sip:a@b","callFlow":[{"command":"pause","options":{"length":1}}]}`,
		`{"callFlow":[{"command":"hangup","conditions":[{"variable":"keys","operator":"eq","value":"1"}]}]}`, `{"status":"paused","pauseBehavior":"skip"}`,
		`{"maxLength":1e400}`, `{"a":{"a":{"a":[]}}}`, `null`, "\xff", `{"number":"\u0000"}`,
	} {
		f.Add(uint8(i), seed)
	}
	f.Fuzz(func(t *testing.T, which uint8, body string) {
		request := requests[int(which)%len(requests)]
		a := n.Do(t, request.method, request.path, body)
		if a.Status >= 500 {
			t.Fatalf("%s %s %q: %d %s", request.method, request.path, body, a.Status, a.Body)
		}
		if a.Status < 400 {
			return
		}
		var problem struct {
			Code    voice.Code          `json:"code"`
			Message string              `json:"message"`
			Details map[string][]string `json:"details"`
		}
		d := json.NewDecoder(bytes.NewReader(a.Body))
		d.DisallowUnknownFields()
		if err := d.Decode(&problem); err != nil || problem.Code.Status() != a.Status || problem.Message == "" {
			t.Fatalf("%s %s %q: %d %s: %v", request.method, request.path, body, a.Status, a.Body, err)
		}
	})
}
