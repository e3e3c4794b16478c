package calltest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tapedeck/internal/testkit"
	vocabulary "tapedeck/internal/voice"
)

// hookKey is what deliveries are signed with.
const hookKey = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// receiver is a web server that takes webhooks; each scene has its own address.
type receiver struct {
	url string

	mu      sync.Mutex
	came    []hook          // and were taken
	down    map[string]bool // by address
	refused map[string]int  // the same
}

// hook is a webhook that came.
type hook struct {
	url    string
	header http.Header
	raw    []byte

	Service, Event string
	Payload        struct{ ID, Status string }
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{down: map[string]bool{}, refused: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) take(w http.ResponseWriter, q *http.Request) {
	h := hook{url: r.url + q.URL.Path, header: q.Header.Clone()}
	var err error
	if h.raw, err = io.ReadAll(q.Body); err != nil || json.Unmarshal(h.raw, &h) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down[h.url] {
		r.refused[h.url]++
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.came = append(r.came, h)
}

// of returns what came to an address, in its order.
func (r *receiver) of(url string) []hook {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []hook
	for _, h := range r.came {
		if h.url == url {
			out = append(out, h)
		}
	}
	return out
}

func (r *receiver) address(p *player) string { return r.url + "/" + p.name }

// subscribe has all events of a channel sent here.
func (r *receiver) subscribe(p *player, channel string) {
	for _, event := range vocabulary.EventTypes() {
		p.s.Do(p.t, http.MethodPost, p.s.workspacePath()+"/webhook-subscriptions", fmt.Sprintf(
			`{"service":"channels","event":%q,"url":%q,"signingKey":%q,"eventFilters":[{"key":"channelId","value":%q}]}`,
			event, r.address(p), hookKey, channel), http.StatusCreated, nil)
	}
}

func (r *receiver) setDown(url string, down bool) (refused int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.down[url] = down
	return r.refused[url]
}

func (p *player) receiverDown([]string) { p.hooks.setDown(p.hooks.address(p), true) }

func (p *player) receiverBack([]string) {
	p.t.Helper()
	testkit.Eventually(p.t, patience, func() bool { return p.hooks.setDown(p.hooks.address(p), true) > 0 })
	p.hooks.setDown(p.hooks.address(p), false)
}

// verify checks both signatures: by what is known of the first, and by the library
// of Standard Webhooks.
func (h *hook) verify() error {
	hash := sha256.Sum256(h.raw)
	m := hmac.New(sha256.New, []byte(hookKey))
	m.Write([]byte(h.header.Get("messagebird-request-timestamp") + "\n" + h.url + "\n"))
	m.Write(hash[:])
	given, err := base64.StdEncoding.DecodeString(h.header.Get("messagebird-signature"))
	if err != nil || !hmac.Equal(given, m.Sum(nil)) {
		return fmt.Errorf("messagebird-signature is %q", h.header.Get("messagebird-signature"))
	}
	w, err := standardwebhooks.NewWebhook(hookKey)
	if err != nil {
		return err
	}
	return w.Verify(h.raw, h.header)
}

// webhooksAre waits for what came of a call or a recording.
func (p *player) webhooksAre(family, id string) {
	p.t.Helper()
	want, got := strings.Join(p.at.List(), ", "), ""
	if !eventually(patience, func() bool {
		var out []string
		for _, h := range p.hooks.of(p.hooks.address(p)) {
			if !strings.HasPrefix(h.Event, family) || h.Payload.ID != id {
				continue
			}
			if family == "voice." {
				h.Event += " " + h.Payload.Status
			}
			out = append(out, h.Event)
		}
		got = strings.Join(out, ", ")
		return got == want
	}) {
		p.t.Fatalf("they are %s", got)
	}
}

func (p *player) webhooksOf(args []string) {
	p.callPath(args[0])
	p.webhooksAre("voice.", p.parties[args[0]].call)
}

func (p *player) webhooksOfRecording([]string) {
	p.recording("available")
	p.webhooksAre("recording.", p.rec)
}

// webhooksAreGood compares what came with the events that the API lists.
func (p *player) webhooksAreGood([]string) {
	var want []string
	for after := int64(0); ; {
		var page struct {
			Results []struct {
				ID      string
				Seq     int64
				Payload struct{ ChannelID, ID string }
			}
		}
		p.s.Do(p.t, http.MethodGet, fmt.Sprintf("%s/events?limit=100&after=%d", p.s.workspacePath(), after), "", http.StatusOK, &page)
		if len(page.Results) == 0 {
			break
		}
		for _, e := range page.Results {
			after = e.Seq
			if e.Payload.ChannelID == p.channel {
				want = append(want, e.ID)
			}
		}
	}
	if len(want) == 0 {
		p.t.Fatal("there were no events")
	}
	var got []string
	eventually(patience, func() bool {
		got = nil
		for _, h := range p.hooks.of(p.hooks.address(p)) {
			got = append(got, h.header.Get("webhook-id"))
		}
		return len(got) >= len(want)
	})
	slices.Sort(got)
	if once := slices.Compact(slices.Clone(got)); len(once) != len(got) {
		p.t.Errorf("of %d webhooks %d came again", len(got), len(got)-len(once))
	}
	for _, id := range want {
		if !slices.Contains(got, id) {
			p.t.Errorf("event %s did not come", id)
		}
	}
	for _, h := range p.hooks.of(p.hooks.address(p)) {
		if err := h.verify(); err != nil {
			p.t.Errorf("%s: %v", h.Event, err)
		}
	}
}
