package apitest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/auth"
	"tapedeck/internal/render"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// begins is how files of a format begin.
func begins(f voice.AudioFormat) string {
	return map[voice.AudioFormat]string{voice.FormatWAV: "RIFF", voice.FormatFLAC: "fLaC", voice.FormatOgg: "OggS"}[f]
}

// sumTag is the ETag of a file.
func sumTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// TestFormats: every format, while the call runs and afterwards, whole and in
// parts, with the headers that players and caches go by. One that this machine
// cannot make says so, and the others work.
func TestFormats(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, `{"stereo":true}`)
	path := n.WorkspacePath() + "/recordings/" + id
	testkit.Eventually(t, patience, func() bool {
		return n.Do(t, http.MethodGet, path+".wav", nil).Status == http.StatusOK
	})
	can := render.Formats()
	for _, f := range voice.AudioFormats() {
		live := n.Do(t, http.MethodGet, path+f.Extension(), nil)
		if !slices.Contains(can, f) {
			live.Problem(t, 501, voice.CodeFormatUnavailable)
			continue
		}
		if live.Status != http.StatusOK || live.Header.Get("ETag") != sumTag(live.Body) || live.Header.Get("Content-Type") != f.ContentType() || !bytes.HasPrefix(live.Body, []byte(begins(f))) {
			t.Errorf("%s while it runs: %d %v, %d bytes", f, live.Status, live.Header, len(live.Body))
		}
	}
	n.Hangup(t, p)
	n.Await(t, path, "available")
	for _, f := range voice.AudioFormats() {
		at := path + f.Extension()
		if !slices.Contains(can, f) {
			n.Do(t, http.MethodGet, at, nil).Problem(t, 501, voice.CodeFormatUnavailable)
			continue
		}
		n.atOnce(t, at)
		n.ranges(t, at, id, f)
	}
	if a := n.Do(t, http.MethodDelete, path, nil); a.Status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", a.Status, a.Body)
	}
	for _, f := range can {
		message, _ := n.Do(t, http.MethodGet, path+f.Extension(), nil).Problem(t, 404, voice.CodeNotFound)
		if !strings.Contains(message, "deleted") {
			t.Errorf("%s of a deleted recording: %s", f, message)
		}
	}
	n.Do(t, http.MethodGet, path+"/peaks", nil).Problem(t, 404, voice.CodeNotFound)
	for _, path := range []string{"/recordings/" + missing + ".flac", "/recordings/" + missing + "/peaks"} {
		n.Do(t, http.MethodGet, n.WorkspacePath()+path, nil).Problem(t, 404, voice.CodeNotFound)
	}
	n.Do(t, http.MethodGet, n.WorkspacePath()+"/recordings/x.flac", nil).Problem(t, 400, voice.CodeInvalidParameter)
	n.Do(t, http.MethodGet, path+".aac", nil).Problem(t, 400, voice.CodeInvalidParameter)
	n.Do(t, http.MethodPost, path+".flac", nil).Problem(t, 405, voice.CodeMethodNotAllowed)
}

// atOnce asks for what nobody has asked for before, many times at once: all get
// the same.
func (n *Node) atOnce(t *testing.T, path string) {
	t.Helper()
	answers := make(chan Answer, 6) // each goroutine sends one; there is room for all
	var wg sync.WaitGroup
	for range cap(answers) {
		wg.Go(func() { answers <- n.Do(t, http.MethodGet, path, nil) })
	}
	wg.Wait()
	first := <-answers
	for range cap(answers) - 1 {
		if a := <-answers; a.Status != http.StatusOK || !bytes.Equal(a.Body, first.Body) || a.Header.Get("ETag") != first.Header.Get("ETag") {
			t.Errorf("%s: one got %d with %d bytes, another %d with %d", path, first.Status, len(first.Body), a.Status, len(a.Body))
		}
	}
}

// ranges holds the answers for a finished file against RFC 9110 §13 and §14.
func (n *Node) ranges(t *testing.T, path, id string, f voice.AudioFormat) {
	t.Helper()
	whole := n.Do(t, http.MethodGet, path, nil)
	etag, modified := whole.Header.Get("ETag"), whole.Header.Get("Last-Modified")
	if whole.Status != http.StatusOK || etag != sumTag(whole.Body) || modified == "" || whole.Header.Get("Content-Type") != f.ContentType() ||
		whole.Header.Get("Accept-Ranges") != "bytes" || whole.Header.Get("Content-Disposition") != `attachment; filename="`+id+f.Extension()+`"` ||
		!bytes.HasPrefix(whole.Body, []byte(begins(f))) {
		t.Fatalf("%s: %d %v", path, whole.Status, whole.Header)
	}
	size := len(whole.Body)
	for name, c := range map[string]struct {
		options []Option
		status  int
		body    []byte
	}{
		"first":               {[]Option{With("Range", "bytes=0-3")}, 206, whole.Body[:4]},
		"last":                {[]Option{With("Range", "bytes=-5")}, 206, whole.Body[size-5:]},
		"more than there is":  {[]Option{With("Range", "bytes=10-99999999")}, 206, whole.Body[10:]},
		"the same":            {[]Option{With("Range", "bytes=0-3"), With("If-Range", etag)}, 206, whole.Body[:4]},
		"the same by time":    {[]Option{With("Range", "bytes=0-3"), With("If-Range", modified)}, 206, whole.Body[:4]},
		"another":             {[]Option{With("Range", "bytes=0-3"), With("If-Range", `"other"`)}, 200, whole.Body},
		"thousands":           {[]Option{With("Range", "bytes=0-0"+strings.Repeat(",0-0", 5000))}, 200, whole.Body},
		"weakly the same":     {[]Option{With("Range", "bytes=0-3"), With("If-Range", "W/"+etag)}, 200, whole.Body},
		"nothing at the end":  {[]Option{With("Range", "bytes=-0")}, 416, nil},
		"all and nothing":     {[]Option{With("Range", "bytes=-00, 0-3")}, 206, whole.Body[:4]},
		"far more":            {[]Option{With("Range", "bytes=10-99999999999999999999")}, 206, whole.Body[10:]},
		"far more at the end": {[]Option{With("Range", "bytes=-99999999999999999999")}, 206, whole.Body},
		"far away":            {[]Option{With("Range", "bytes=99999999999999999999-")}, 416, nil},
		"nonsense":            {[]Option{With("Range", "bytes=9-2")}, 416, nil},
		"not seen":            {[]Option{With("If-None-Match", `"other"`)}, 200, whole.Body},
		"seen":                {[]Option{With("If-None-Match", etag)}, 304, []byte{}},
		"not newer":           {[]Option{With("If-Modified-Since", modified)}, 304, []byte{}},
	} {
		a := n.Do(t, http.MethodGet, path, nil, c.options...)
		if a.Status != c.status || c.body != nil && !bytes.Equal(a.Body, c.body) {
			t.Errorf("%s, %s: %d with %d bytes, want %d with %d", path, name, a.Status, len(a.Body), c.status, len(c.body))
		}
		if c.status == 416 {
			a.Problem(t, 416, voice.CodeRangeNotSatisfiable)
		}
	}
	n.Do(t, http.MethodGet, path, nil, With("Range", "bytes=99999999-")).Problem(t, 416, voice.CodeRangeNotSatisfiable)
	n.Do(t, http.MethodGet, path, nil, With("If-Match", `"other"`)).Problem(t, 412, voice.CodePreconditionFailed)
	head := n.Do(t, http.MethodHead, path, nil)
	if head.Status != http.StatusOK || len(head.Body) != 0 || head.Header.Get("Content-Length") != whole.Header.Get("Content-Length") || head.Header.Get("ETag") != etag {
		t.Errorf("HEAD %s: %d %v", path, head.Status, head.Header)
	}

	several := n.Do(t, http.MethodGet, path, nil, With("Range", "bytes=0-1,4-7"))
	kind, with, err := mime.ParseMediaType(several.Header.Get("Content-Type"))
	if err != nil || several.Status != http.StatusPartialContent || kind != "multipart/byteranges" {
		t.Fatalf("two ranges of %s: %d %v, %v", path, several.Status, several.Header, err)
	}
	parts := multipart.NewReader(bytes.NewReader(several.Body), with["boundary"])
	for _, want := range [][]byte{whole.Body[:2], whole.Body[4:8]} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(part); err != nil || !bytes.Equal(got.Bytes(), want) || part.Header.Get("Content-Type") != f.ContentType() {
			t.Errorf("a part of %s is %q with %v, want %q: %v", path, got.Bytes(), part.Header, want, err)
		}
	}
}

// TestPeaks: at any resolution, while the call runs and afterwards.
func TestPeaks(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, `{"stereo":true}`)
	path := n.WorkspacePath() + "/recordings/" + id
	var live Answer
	testkit.Eventually(t, patience, func() bool {
		if live = n.Do(t, http.MethodGet, path+"/peaks?points=3", nil); live.Status != http.StatusOK {
			live.Problem(t, 404, voice.CodeNotFound)
		}
		return live.Status == http.StatusOK
	})
	if object := live.JSON(t); object["final"] != false || live.Header.Get("ETag") != "" || Text(object, "recordingId") != id {
		t.Errorf("live: %v %s", live.Header, live.Body)
	}
	n.Hangup(t, p)
	ms := n.Await(t, path, "available")["durationMs"]
	for _, query := range []string{"", "?points=5", "?points=65536"} {
		a := n.Do(t, http.MethodGet, path+"/peaks"+query, nil)
		object := a.JSON(t)
		channels, _ := object["channels"].([]any)
		if a.Status != http.StatusOK || object["final"] != true || object["durationMs"] != ms || len(channels) != 2 {
			t.Fatalf("%s: %d %s", query, a.Status, a.Body)
		}
		left, _ := channels[0].(map[string]any)
		low, _ := left["min"].([]any)
		high, _ := left["max"].([]any)
		if object["points"] != float64(len(low)) || len(low) != len(high) || query == "?points=5" && len(low) > 5 { // a short recording has fewer
			t.Errorf("%s: %v points, %d and %d", query, object["points"], len(low), len(high))
		}
		if again := n.Do(t, http.MethodGet, path+"/peaks"+query, nil, With("If-None-Match", a.Header.Get("ETag"))); again.Status != http.StatusNotModified {
			t.Errorf("%s: seen already: %d", query, again.Status)
		}
	}
	whole := n.Do(t, http.MethodGet, path+"/peaks", nil, With("Range", "bytes=0-3"))
	if whole.Status != http.StatusOK || whole.Header.Get("Accept-Ranges") != "" || whole.JSON(t)["final"] != true {
		t.Errorf("a part: %d %v %.80s", whole.Status, whole.Header, whole.Body)
	}
	n.Do(t, http.MethodGet, path+"/peaks", nil, With("If-Match", `"other"`)).Problem(t, 412, voice.CodePreconditionFailed)
	for _, query := range []string{"?points=0", "?points=65537", "?points=x", "?points=1.5"} {
		_, details := n.Do(t, http.MethodGet, path+"/peaks"+query, nil).Problem(t, 422, voice.CodeValidationFailed)
		if len(details["points"]) != 1 {
			t.Errorf("%s: %v", query, details)
		}
	}
}

// TestReceiptKey: whoever holds a receipt may check it, without an access key.
func TestReceiptKey(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	a := n.Do(t, http.MethodGet, "/receipt-key", nil, With("Authorization", ""))
	key := a.JSON(t)
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || Text(key, "algorithm") != "Ed25519" ||
		!strings.HasPrefix(Text(key, "pem"), "-----BEGIN PUBLIC KEY-----") || Text(key, "keyId") == "" || Text(key, "publicKey") == "" {
		t.Errorf("key: %d %v %s", a.Status, a.Header, a.Body)
	}
	if bytes.Contains(a.Body, []byte("PRIVATE")) {
		t.Error("that is the private half")
	}
	n.Do(t, http.MethodPost, "/receipt-key", nil, With("Authorization", "")).Problem(t, 405, voice.CodeMethodNotAllowed)
}

// TestFailureIsVisible: a recording that came to nothing says why wherever it is
// asked for, and is counted.
func TestFailureIsVisible(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, nil)
	path := n.WorkspacePath() + "/recordings/" + id
	n.Hangup(t, p)
	n.Await(t, path, "available")
	err := n.DB.Update(t.Context(), func(tx *store.Tx) error {
		r, err := tx.Recording(n.Workspace, voice.RecordingID(id))
		if err != nil {
			return err
		}
		r.Status, r.Problem, r.File = voice.RecordingFailed, "the journal is missing", ""
		return tx.PutRecording(r)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := Text(n.Get(t, path), "problem"); got != "the journal is missing" {
		t.Errorf("problem: %q", got)
	}
	for _, below := range []string{".wav", ".flac", "/peaks"} {
		message, _ := n.Do(t, http.MethodGet, path+below, nil).Problem(t, 404, voice.CodeNotFound)
		if !strings.Contains(message, "the journal is missing") {
			t.Errorf("%s: %s", below, message)
		}
	}
	n.Do(t, http.MethodPost, path+"/renders", nil).Problem(t, 400, voice.CodeRecordingNotActive)
	metrics := n.Do(t, http.MethodGet, "/metrics", nil, With("Authorization", ""))
	if !bytes.Contains(metrics.Body, []byte(`tapedeck_publish_recordings{status="failed"} 1`)) {
		t.Error("the failed recording is not counted")
	}
}

// TestFilesAreTheWorkspaces: nobody else sees them, and no key without the right.
func TestFilesAreTheWorkspaces(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, nil)
	path := n.WorkspacePath() + "/recordings/" + id
	n.Hangup(t, p)
	n.Await(t, path, "available")
	again := Text(n.Do(t, http.MethodPost, path+"/renders", nil).JSON(t), "id")
	ws, _ := n.Tenant(t, "3000")
	_, foreign := n.Key(t, ws, auth.AllRights(ws)...)
	_, none := n.Key(t, n.Workspace)
	_, reader := n.Key(t, n.Workspace, voice.Policy{
		Effect: voice.Allow, Actions: []voice.Action{voice.ActionView}, Resources: []string{"/workspaces/" + string(n.Workspace) + "/**"},
	})
	withKey := func(secret string) Option { return With("Authorization", "AccessKey "+secret) }
	elsewhere := "/workspaces/" + string(ws) + "/recordings/" + id
	for _, below := range []string{".wav", ".flac", ".mp3", ".ogg", "/peaks", "/receipt", "/renders", "/renders/" + again, "/renders/" + again + "/audio", "/renders/" + again + "/receipt"} {
		n.Do(t, http.MethodGet, path+below, nil, withKey(foreign)).Problem(t, 404, voice.CodeNotFound)
		n.Do(t, http.MethodGet, elsewhere+below, nil, withKey(foreign)).Problem(t, 404, voice.CodeNotFound)
		n.Do(t, http.MethodGet, path+below, nil, withKey(none)).Problem(t, 403, voice.CodeForbidden)
		n.Do(t, http.MethodGet, path+below, nil, With("Authorization", "")).Problem(t, 401, voice.CodeUnauthorized)
	}
	n.Do(t, http.MethodPost, path+"/renders", "{nonsense", withKey(reader)).Problem(t, 403, voice.CodeForbidden)
	n.Do(t, http.MethodPost, path+"/renders", nil, withKey(foreign)).Problem(t, 404, voice.CodeNotFound)
	n.Do(t, http.MethodPost, elsewhere+"/renders", nil, withKey(foreign)).Problem(t, 404, voice.CodeNotFound)
}
