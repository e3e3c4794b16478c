package client

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"tapedeck/internal/receipt"
	"tapedeck/internal/testkit"
)

func TestFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	testkit.WriteFile(t, dir, "bootstrap.json", `{"workspaceId":"ws","channelId":"ch","number":"1000","accessKey":"boot"}`)
	broken := t.TempDir()
	testkit.WriteFile(t, broken, "bootstrap.json", `{`)
	for name, c := range map[string]struct {
		env  [4]string // server, key, workspace, data
		want string    // of server, key and workspace; empty = an error
	}{
		"everything":            {[4]string{"https://x", "k", "w", ""}, "https://x k w"},
		"a server here":         {[4]string{"", "", "", dir}, "http://127.0.0.1:8080 boot ws"},
		"another key":           {[4]string{"http://127.0.0.1:1", "k", "", dir}, "http://127.0.0.1:1 k ws"},
		"a server elsewhere":    {[4]string{"https://x", "", "w", ""}, ""},
		"nothing written":       {[4]string{"", "", "", filepath.Join(dir, "none")}, ""},
		"half of it":            {[4]string{"", "", "", broken}, ""},
		"no server, all others": {[4]string{"", "k", "w", ""}, "http://127.0.0.1:8080 k w"},
	} {
		t.Run(name, func(t *testing.T) {
			for i, variable := range []string{"TAPEDECK_SERVER", "TAPEDECK_ACCESS_KEY", "TAPEDECK_WORKSPACE", "TAPEDECK_DATA"} {
				t.Setenv(variable, c.env[i])
			}
			o, err := FromEnvironment()
			got := strings.Join([]string{o.BaseURL, o.AccessKey, o.Workspace}, " ")
			if (err != nil) != (c.want == "") || err == nil && got != c.want {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
	t.Chdir(t.TempDir())
	for _, variable := range []string{"TAPEDECK_SERVER", "TAPEDECK_ACCESS_KEY", "TAPEDECK_WORKSPACE", "TAPEDECK_DATA"} {
		t.Setenv(variable, "")
	}
	if _, err := FromEnvironment(); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "TAPEDECK_ACCESS_KEY") {
		t.Error(err)
	}
}

func TestEnsureChannel(t *testing.T) {
	c, s := play(t, map[string][]string{
		"/channels?limit=100":             {`200 {"results":[{"id":"a","number":"1"}],"nextPageToken":"n"}`},
		"/channels?limit=100&pageToken=n": {`200 {"results":[{"id":"b","number":"2"}]}`},
		"/channels":                       {`201 {"id":"new","number":"3"}`},
		"/channels/b":                     {`200 {"id":"b","number":"2"}`},
	})
	flow := []Step{Do(HangupCall{Cause: HangupCallCauseBusy})}
	made, err := c.EnsureChannel(t.Context(), CreateChannel{Number: "3", Inbound: Inbound{CallFlow: &flow}})
	if err != nil || made.ID != "new" {
		t.Errorf("%+v, %v", made, err)
	}
	there, err := c.EnsureChannel(t.Context(), CreateChannel{Number: "2", Name: "n", Codecs: []string{"PCMU"}, Inbound: Inbound{CallFlow: &flow}, Trunk: Trunk{URI: new("")}})
	if err != nil || there.ID != "b" {
		t.Errorf("%+v, %v", there, err)
	}
	const want = `PATCH /channels/b {"codecs":["PCMU"],"inbound":{"callFlow":[{"command":"hangup","options":{"cause":"busy"}}]},"name":"n","trunk":{"uri":""}}`
	if got := s.asked[len(s.asked)-1]; got != want {
		t.Errorf("asked\n%s, want\n%s", got, want)
	}
	c, _ = play(t, nil)
	if _, err := c.EnsureChannel(t.Context(), CreateChannel{Number: "3"}); err == nil {
		t.Error("a server that lists nothing was believed")
	}
}

// TestSteps: each command of a flow has its name, as the server knows it.
func TestSteps(t *testing.T) {
	flow, err := json.Marshal([]Step{
		Do(Answer{}), Do(Ringing{}), Do(HangupCall{}), Do(Playback{Media: []string{"media:x"}}), Do(Say{Text: "a"}, NotKeys("1"), Speech("yes")),
		Do(Gather{MaxNumKeys: 1}), Do(Record{Beep: true}), Do(BridgeCall{To: "1"}), Do(PauseCall{Length: 2}),
	})
	const want = `[{"command":"answer","options":{}},{"command":"ringing","options":{}},{"command":"hangup","options":{}},` +
		`{"command":"playback","options":{"media":["media:x"]}},{"command":"say","options":{"text":"a"},"conditions":[` +
		`{"operator":"ne","value":"1","variable":"keys"},{"operator":"contains","value":"yes","variable":"speech"}]},` +
		`{"command":"gather","options":{"maxNumKeys":1}},{"command":"record","options":{"beep":true}},` +
		`{"command":"bridge","options":{"to":"1"}},{"command":"pause","options":{"length":2}}]`
	if err != nil || string(flow) != want {
		t.Errorf("%s, %v, want\n%s", flow, err, want)
	}
}

// TestReceiptIsVerified: the signature, the key and the file must be those.
func TestReceiptIsVerified(t *testing.T) {
	keyOf := func(seed byte) (ed25519.PrivateKey, *ReceiptKey) {
		private := ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(seed), ed25519.SeedSize)))
		public := receipt.PublicKey(private[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
		return private, &ReceiptKey{PEM: public.PEM()}
	}
	private, key := keyOf('a')
	_, other := keyOf('b')
	raw, err := receipt.Sign([]byte("{\n  \"complete\": true,\n  \"file\": {\n    \"size\": 7,\n    \"sha256\": \"x\"\n  }\n}\n"), private)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := play(t, map[string][]string{"/recordings/r/receipt": {"200 " + string(raw)}})
	r, err := c.Receipt(t.Context(), "r")
	if err != nil || !r.Complete {
		t.Fatalf("%+v, %v", r, err)
	}
	file := Downloaded{Size: 7, SHA256: "x"}
	if err := r.Verify(key, file); err != nil {
		t.Error(err)
	}
	if err := r.Verify(key, Downloaded{Size: 7, SHA256: "y"}); !errors.Is(err, ErrDamaged) {
		t.Errorf("another file: %v", err)
	}
	if err := r.Verify(other, file); !errors.Is(err, receipt.ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	if err := r.Verify(&ReceiptKey{PEM: "no key"}, file); err == nil {
		t.Error("no key proves something")
	}
	changed := &Receipt{Raw: []byte(strings.Replace(string(raw), "7", "8", 1))}
	if err := changed.Verify(key, Downloaded{Size: 8, SHA256: "x"}); !errors.Is(err, receipt.ErrSignature) {
		t.Errorf("a changed receipt: %v", err)
	}
}
