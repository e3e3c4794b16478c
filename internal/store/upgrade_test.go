package store

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"tapedeck/internal/store/sqlite"
	"tapedeck/internal/voice"
)

// released is a database as the version before events left it: schema 4, with a call
// that ended, one that a crash left, one that nobody answered, and a recording.
func released(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), FileName)
	raw, err := sqlite.Open(t.Context(), sqlite.Options{Path: path, Readers: 1, BusyTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, raw.Write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.UpTo(t.Context(), 4)
	const call = `INSERT INTO calls VALUES (?, 'w', 'c', '', '+100', '100', '200', '200', 'incoming', 'pstn', ?, '', 16, '', 0, '', 0, 0,
		'https://example.com/', '["old"]', '[]', '[]', ?, 5000000, 1000000, ?, ?, 0)`
	statements := []struct {
		text string
		args []any
	}{
		{"INSERT INTO workspaces VALUES ('w', 'w', 1, 1)", nil},
		{call, []any{"ended", "completed", 1_000_000, 2_000_000, 5_900_000}},
		{call, []any{"crashed", "ongoing", 2_000_000, 3_000_000, 0}},
		{call, []any{"missed", "no-answer", 3_000_000, 0, 4_000_000}},
		{"INSERT INTO call_tags VALUES ('old', 'ended'), ('old', 'crashed')", nil},
		{`INSERT INTO recordings VALUES ('r', 'w', 'c', 'ended', 'available', 'create-call', TRUE, 0, 'call-ended', '', 'incoming', '+100', '100', '200', '200',
			3900000000, '[]', 'w/r.wav', 'w/r.json', 1, 'x', 2000000, 6000000, 2000000, 5900000)`, nil},
	}
	for _, s := range statements {
		if err == nil {
			_, err = raw.Write.ExecContext(t.Context(), s.text, s.args...)
		}
	}
	if err := errors.Join(err, raw.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestUpgrade: what an earlier version stored is found by every new filter, and new
// features work on it.
func TestUpgrade(t *testing.T) {
	db, err := Open(t.Context(), Options{URL: released(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	three, none := 3*time.Second, time.Duration(0)
	for name, c := range map[string]struct {
		filter voice.CallFilter
		want   string
	}{
		"all":         {voice.CallFilter{}, "missed crashed ended "},
		"tag":         {voice.CallFilter{Tags: []string{"old"}}, "crashed ended "},
		"three":       {voice.CallFilter{Duration: &three}, "ended "},
		"none":        {voice.CallFilter{Duration: &none}, "missed "},
		"from and to": {voice.CallFilter{From: "100", To: "+200"}, "missed crashed ended "},
	} {
		c.filter.Workspace, c.filter.Page = "w", voice.Page{Limit: 10}
		got := ""
		err := db.View(t.Context(), func(tx *Tx) error {
			calls, _, err := tx.Calls(c.filter)
			for i := range calls {
				got += string(calls[i].ID) + " "
			}
			return err
		})
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	at := time.UnixMicro(7_000_000).UTC()
	err = db.Update(t.Context(), func(tx *Tx) error {
		crashed, err := tx.UnfinishedCalls()
		if err != nil || len(crashed) != 1 {
			t.Errorf("left by the crash: %+v", crashed)
			return err
		}
		c := crashed[0]
		c.Status, c.EndedAt, c.UpdatedAt = voice.CallCompleted, at, at
		r, err := tx.Recording("w", "r")
		if err != nil || r.Duration != 3900*time.Millisecond || r.Transcribed || r.Transcribe != "" {
			t.Errorf("the recording: %+v", r)
		}
		return errors.Join(err, tx.PutCall(c), tx.PutTranscription(voice.NewTranscription("t", &r, "en-US", at)))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx *Tx) error {
		told, err := tx.Events(voice.EventFilter{Workspace: "w"})
		if len(told) != 1 || told[0].Type != voice.EventInbound || told[0].Status != "completed" || told[0].NotifyURL != "https://example.com/" {
			t.Errorf("told: %+v", told)
		}
		_, err2 := tx.Transcription("w", "t")
		return errors.Join(err, err2)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDowngrade: each migration can be taken back.
func TestDowngrade(t *testing.T) {
	db := openTemp(t)
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db.raw.Write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	if _, err := p.DownTo(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(ctx); err != nil {
		t.Fatal(err)
	}
}
