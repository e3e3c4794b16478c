package apitest

import (
	"encoding/binary"
	"net/http"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// waveFile is a file of a second.
func waveFile() string {
	const rate = 8000
	b := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00")
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, 2*rate)
	b = append(b, "\x02\x00\x10\x00data"...)
	b = binary.LittleEndian.AppendUint32(b, 2*rate)
	for i := range rate {
		b = binary.LittleEndian.AppendUint16(b, uint16(i*50))
	}
	return string(b)
}

// upload uploads a file and returns its id.
func (n *Node) upload(t *testing.T) string {
	t.Helper()
	a := n.Do(t, http.MethodPost, n.WorkspacePath()+"/media", waveFile(), With("Content-Type", "audio/wav"))
	if a.Status != http.StatusCreated {
		t.Fatalf("upload: %d %s", a.Status, a.Body)
	}
	return Text(a.JSON(t), "id")
}

// transcribed puts a transcription of a recording there and returns its id.
func (n *Node) transcribed(t *testing.T, recording string) string {
	t.Helper()
	r := n.row(t, recording)
	out := voice.NewTranscription(voice.TranscriptionID(store.NewID()), &r, "en-US", time.Now().UTC())
	out.Status, out.Summary = voice.TranscriptionAvailable, "hello"
	out.Segments = []voice.Segment{{StartMs: 500, EndMs: 1000, Text: "hello"}, {Channel: 1, StartMs: 1500, EndMs: 2000, Text: "good < day"}}
	if err := n.DB.Update(t.Context(), func(tx *store.Tx) error { return tx.PutTranscription(out) }); err != nil {
		t.Fatal(err)
	}
	return string(out.ID)
}

// canTranscribe is how the machine answers who asks for a transcription: it has an
// engine for it, or has none.
func (n *Node) canTranscribe(t *testing.T, recording string) int {
	t.Helper()
	a := n.Do(t, http.MethodPost, n.WorkspacePath()+"/recordings/"+recording+"/transcriptions", `{"locale":"en-US"}`)
	if a.Status == http.StatusNotImplemented {
		a.Problem(t, a.Status, voice.CodeSpeechUnavailable)
		return a.Status
	}
	return http.StatusAccepted
}

// canSay is how the machine answers who lets it speak: it has an engine for it, or
// has none.
func (n *Node) canSay(t *testing.T, p *Party) int {
	t.Helper()
	a := n.Do(t, http.MethodPost, p.Path+"/say", `{"text":"Hello."}`)
	if a.Status == http.StatusNotImplemented {
		a.Problem(t, a.Status, voice.CodeSpeechUnavailable)
		return a.Status
	}
	return http.StatusAccepted
}

func TestMedia(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	path := n.WorkspacePath() + "/media"
	once := With("Idempotency-Key", "first")
	a := n.Do(t, http.MethodPost, path+"?name=Welcome", waveFile(), once)
	m := a.JSON(t)
	if a.Status != http.StatusCreated || Text(m, "name") != "Welcome" || Text(m, "contentType") != "audio/wav" || m["durationMs"] != 1000.0 || m["size"] != 16044.0 {
		t.Fatalf("%d %v", a.Status, m)
	}
	id := Text(m, "id")
	if again := n.Do(t, http.MethodPost, path+"?name=Welcome", waveFile(), once); Text(again.JSON(t), "id") != id {
		t.Errorf("the same again: %s", again.Body)
	}
	n.Do(t, http.MethodPost, path+"?name=Welcome", waveFile()+"xx", once).Problem(t, 422, voice.CodeIdempotencyKeyReused)
	n.Do(t, http.MethodPost, path, "no sound at all").Problem(t, 415, voice.CodeUnsupportedMedia)
	n.Do(t, http.MethodPost, path, nil).Problem(t, 415, voice.CodeUnsupportedMedia)
	n.Do(t, http.MethodPost, path+"?name=", waveFile()).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodPost, path, strings.Repeat("RIFF", voice.MaxMediaSize/4+1)).Problem(t, 413, voice.CodeBodyTooLarge)
	if got := n.Get(t, path+"/"+id); Text(got, "sha256") != Text(m, "sha256") {
		t.Errorf("%v", got)
	}
	if list := results(t, n.Get(t, path)); len(list) != 1 || Text(list[0], "id") != id {
		t.Errorf("%v", list)
	}
	_, secret := n.Key(t, n.Workspace, voice.Policy{Effect: voice.Allow, Actions: []voice.Action{voice.ActionView}, Resources: []string{"/workspaces/*/channels/**"}})
	n.Do(t, http.MethodPost, path, waveFile(), With("Authorization", "AccessKey "+secret)).Problem(t, 403, voice.CodeForbidden)
	var file string
	if err := n.DB.View(t.Context(), func(tx *store.Tx) error {
		kept, err := tx.Media(n.Workspace, voice.MediaID(id))
		file = kept.File
		return err
	}); err != nil || file == "" {
		t.Fatal(err)
	}
	if a := n.Do(t, http.MethodDelete, path+"/"+id, nil); a.Status != http.StatusNoContent {
		t.Errorf("delete: %d %s", a.Status, a.Body)
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		n.Do(t, method, path+"/"+id, nil).Problem(t, 404, voice.CodeNotFound)
	}
}

func TestTranscriptionTexts(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	testkit.NoLeaks(t)
	n := Start(t)
	p := n.Answered(t)
	rec := n.Record(t, p, `{"maxLength":1,"stereo":true}`)
	running := n.Record(t, p, `{}`)
	base := n.WorkspacePath() + "/recordings/"
	n.Await(t, base+rec, "available")
	if got := n.Get(t, base+rec); got["transcription"] != false {
		t.Errorf("%v", got)
	}
	n.Do(t, http.MethodPost, base+running+"/transcriptions", `{"locale":"en-US"}`).Problem(t, 409, voice.CodeConflict)
	n.Do(t, http.MethodPost, base+rec+"/transcriptions", `{"locale":"xx-XX"}`).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodPost, base+rec+"/transcriptions", `{}`).Problem(t, 422, voice.CodeValidationFailed)
	n.Do(t, http.MethodPost, base+missing+"/transcriptions", `{"locale":"en-US"}`).Problem(t, 404, voice.CodeNotFound)
	id := n.transcribed(t, rec)
	path := n.WorkspacePath() + "/transcriptions/" + id
	for format, want := range map[string]string{
		"txt": "left: hello\nright: good < day\n",
		"srt": "1\n00:00:00,500 --> 00:00:01,000\nleft: hello\n\n2\n00:00:01,500 --> 00:00:02,000\nright: good < day\n\n",
		"vtt": "WEBVTT\n\n00:00:00.500 --> 00:00:01.000\n<v left>hello\n\n00:00:01.500 --> 00:00:02.000\n<v right>good &lt; day\n\n",
	} {
		f, err := voice.ParseTextFormat(format)
		if err != nil {
			t.Fatal(err)
		}
		if a := n.Do(t, http.MethodGet, path+"."+format, nil); a.Status != 200 || string(a.Body) != want || a.Header.Get("Content-Type") != f.ContentType() {
			t.Errorf("%s: %d %s %q", format, a.Status, a.Header.Get("Content-Type"), a.Body)
		}
		if url := Text(n.Get(t, path+"?format="+format), "url"); url != n.URL+path+"."+format {
			t.Errorf("%s: %s", format, url)
		}
	}
	if got := n.Get(t, path+".json"); Text(got, "recordingId") != rec || len(got["segments"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	if got := n.Get(t, path); Text(got, "status") != "available" || Text(got, "summary") != "hello" || got["stereo"] != true {
		t.Errorf("%v", got)
	}
	if got := n.Get(t, base+rec); got["transcription"] != true {
		t.Errorf("%v", got)
	}
	list := n.WorkspacePath() + "/transcriptions"
	for query, want := range map[string]int{"": 1, "?recordingId=" + rec: 1, "?recordingId=" + running: 0, "?status=failed": 0} {
		if got := results(t, n.Get(t, list+query)); len(got) != want {
			t.Errorf("%s: %v", query, got)
		}
	}
	if a := n.Do(t, http.MethodDelete, base+rec, nil); a.Status != http.StatusNoContent {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if got := n.Get(t, path); Text(got, "status") != "absent" || got["url"] != nil || got["summary"] != nil {
		t.Errorf("after the recording was deleted: %v", got)
	}
	n.Do(t, http.MethodGet, path+".txt", nil).Problem(t, 409, voice.CodeConflict)
	if got := n.Get(t, base+rec); got["transcription"] != false {
		t.Errorf("%v", got)
	}
}
