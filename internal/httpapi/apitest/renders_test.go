package apitest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/receipt"
	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// TestRenders: asked for, made, listed, fetched, checked with the key, erased
// with the recording.
func TestRenders(t *testing.T) {
	testkit.Timeout(t, 2*time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	id := n.Record(t, p, `{"stereo":true}`)
	path := n.WorkspacePath() + "/recordings/" + id
	all := path + "/renders"
	n.Await(t, path, "ongoing")
	n.Do(t, http.MethodPost, all, nil).Problem(t, 400, voice.CodeRecordingNotActive)
	n.Hangup(t, p)
	n.Await(t, path, "available")

	for body, members := range map[string][]string{
		`{"stereo":1,"swap":"x","format":"aac","beep":true}`: {"stereo", "swap", "format", "beep"},
		`{"format":""}`:   {"format"},
		`{"format":7}`:    {"format"},
		`{"channels":[]}`: {"channels"},
	} {
		_, details := n.Do(t, http.MethodPost, all, body).Problem(t, 422, voice.CodeValidationFailed)
		for _, m := range members {
			if len(details[m]) == 0 || len(details) != len(members) {
				t.Errorf("%s: faults %v, want one of %s", body, details, m)
			}
		}
	}
	n.Do(t, http.MethodPost, all, `{"stereo":`).Problem(t, 400, voice.CodeInvalidJSON)
	n.Do(t, http.MethodPost, all, `[]`).Problem(t, 400, voice.CodeInvalidJSON)
	n.Do(t, http.MethodPost, all, strings.Repeat(" ", 70<<10)).Problem(t, 413, voice.CodeBodyTooLarge)
	n.Do(t, http.MethodPost, n.WorkspacePath()+"/recordings/"+missing+"/renders", nil).Problem(t, 404, voice.CodeNotFound)
	if list := results(t, n.Get(t, all)); len(list) != 0 {
		t.Errorf("what was refused is listed: %v", list)
	}

	same := With("Idempotency-Key", "r")
	first := n.Do(t, http.MethodPost, all, `{"swap":true,"stereo":null}`, same)
	again := n.Do(t, http.MethodPost, all, ` {"swap": true} `, same)
	if first.Status != http.StatusAccepted || !bytes.Equal(first.Body, again.Body) {
		t.Errorf("first %d %s, again %d %s", first.Status, first.Body, again.Status, again.Body)
	}
	n.Do(t, http.MethodPost, all, `{}`, same).Problem(t, 422, voice.CodeIdempotencyKeyReused)
	asked := first.JSON(t)
	if Text(asked, "status") != "accepted" || Text(asked, "recordingId") != id || asked["stereo"] != true || asked["swap"] != true || Text(asked, "format") != "wav" || asked["url"] != nil {
		t.Errorf("asked for: %s", first.Body)
	}
	one := all + "/" + Text(asked, "id")
	n.renderIsProven(t, one, "audio/wav")
	second := n.Do(t, http.MethodPost, all, `{"stereo":false,"format":"flac"}`)
	two := all + "/" + Text(second.JSON(t), "id")
	n.renderIsProven(t, two, "audio/flac")

	page := n.Get(t, all+"?limit=1")
	if list := results(t, page); len(list) != 1 || !strings.HasSuffix(two, Text(list[0], "id")) {
		t.Errorf("first page: %v", page)
	}
	page = n.Get(t, all+"?limit=1&pageToken="+Text(page, "nextPageToken"))
	if list := results(t, page); len(list) != 1 || !strings.HasSuffix(one, Text(list[0], "id")) || Text(page, "nextPageToken") != "" {
		t.Errorf("last page: %v", page)
	}
	n.Do(t, http.MethodGet, all+"?pageToken=x&limit=1", nil).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodGet, all+"?limit=100", nil).Problem(t, 422, voice.CodeValidationFailed)

	// A deletion that a crash cut short has marked the recording, and nothing of
	// it is given any more; asking again ends it.
	marked := n.row(t, id)
	marked.Status, marked.EndCause = voice.RecordingAbsent, voice.EndDeleted
	if err := n.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.PutRecording(marked) }); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{path + ".wav", path + ".flac", path + "/peaks", one + "/audio", two + "/audio", two + "/receipt"} {
		n.Do(t, http.MethodGet, at, nil).Problem(t, 404, voice.CodeNotFound)
	}
	if a := n.Do(t, http.MethodDelete, path, nil); a.Status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", a.Status, a.Body)
	}
	for _, at := range []string{one, one + "/audio", one + "/receipt", two + "/audio", all + "/" + missing, all + "/" + missing + "/audio"} {
		n.Do(t, http.MethodGet, at, nil).Problem(t, 404, voice.CodeNotFound)
	}
	n.Do(t, http.MethodGet, all+"/x", nil).Problem(t, 400, voice.CodeInvalidParameter)
	if list := results(t, n.Get(t, all)); len(list) != 0 {
		t.Errorf("renders of a deleted recording: %v", list)
	}
	n.Do(t, http.MethodPost, all, nil).Problem(t, 410, voice.CodeJournalGone)
}

// renderIsProven fetches a render and checks it with its receipt, and that with
// the key that the server hands out.
func (n *Node) renderIsProven(t *testing.T, path, kind string) {
	t.Helper()
	audio := n.Do(t, http.MethodGet, path+"/audio", nil) // waits until it is made
	r := n.Get(t, path)
	sum := sha256.Sum256(audio.Body)
	hash := hex.EncodeToString(sum[:])
	if audio.Status != http.StatusOK || audio.Header.Get("Content-Type") != kind || audio.Header.Get("ETag") != `"`+hash+`"` ||
		Text(r, "status") != "available" || Text(r, "sha256") != hash || r["size"] != float64(len(audio.Body)) ||
		Text(r, "url") != n.URL+path+"/audio" || Text(r, "receiptUrl") != n.URL+path+"/receipt" {
		t.Errorf("render: %d %v\n%v", audio.Status, audio.Header, r)
	}
	if head := n.Do(t, http.MethodHead, path+"/audio", nil, With("Range", "bytes=0-3")); head.Status != http.StatusPartialContent && head.Status != http.StatusOK {
		t.Errorf("HEAD: %d %v", head.Status, head.Header)
	}
	if part := n.Do(t, http.MethodGet, path+"/audio", nil, With("Range", "bytes=1-3")); part.Status != http.StatusPartialContent || !bytes.Equal(part.Body, audio.Body[1:4]) {
		t.Errorf("range: %d %q", part.Status, part.Body)
	}
	account := n.Do(t, http.MethodGet, path+"/receipt", nil)
	signed, err := receipt.Parse(account.Body)
	if err != nil || !bytes.Contains(account.Body, []byte(hash)) {
		t.Fatalf("receipt: %v\n%s", err, account.Body)
	}
	key, err := receipt.ParsePublicKey([]byte(Text(n.Get(t, "/receipt-key"), "pem")))
	if err != nil {
		t.Fatal(err)
	}
	if err := signed.VerifyBy(key); err != nil {
		t.Error(err)
	}
	changed := bytes.Replace(account.Body, []byte(`"channels": `), []byte(`"channels":  `), 1)
	if wrong, err := receipt.Parse(changed); err == nil && wrong.VerifyBy(key) == nil {
		t.Error("a receipt with one byte more is taken")
	}
}

// TestJournalGone: what is not kept cannot be rendered again.
func TestJournalGone(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t, "TAPEDECK_RECORDING_KEEP_JOURNAL=0s")
	p := n.Answered(t)
	id := n.Record(t, p, nil)
	path := n.WorkspacePath() + "/recordings/" + id
	n.Hangup(t, p)
	n.Await(t, path, "available")
	testkit.Eventually(t, patience, func() bool { // until it was swept
		return !bytes.Contains(n.Do(t, http.MethodGet, "/metrics", nil).Body, []byte(`tapedeck_jobs_pending{kind="sweep"}`))
	})
	n.Do(t, http.MethodPost, path+"/renders", nil).Problem(t, 410, voice.CodeJournalGone)
	if a := n.Do(t, http.MethodGet, path+".wav", nil); a.Status != http.StatusOK {
		t.Errorf("the file: %d", a.Status)
	}
}
