package archive_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"tapedeck/internal/archive"
	"tapedeck/internal/blob"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
)

// files lists what is in the archive.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(dir, "files"), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRenders(t *testing.T) {
	a, dir := open(t)
	rec := recording()
	again := voice.RenderID("0193b5a0-0000-7000-8000-00000000000f")
	for _, r := range []voice.Render{
		{ID: voice.FormatRender(rec.ID, voice.FormatMP3), Kind: voice.RenderFormat, Format: voice.FormatMP3},
		{ID: voice.PeaksRender(rec.ID), Kind: voice.RenderPeaks},
		{ID: again, Kind: voice.RenderAgain, Format: voice.FormatOgg},
	} {
		path := testkit.WriteFile(t, dir, "x", string(r.ID))
		file, err := a.StoreRender(t.Context(), rec, r, path, []byte("{}"))
		if err != nil {
			t.Fatal(err)
		}
		if (file.ReceiptKey != "") != (r.Kind == voice.RenderAgain) {
			t.Errorf("%s: receipt at %q", r.Kind, file.ReceiptKey)
		}
		r.File, r.Receipt, r.SHA256 = file.Key, file.ReceiptKey, file.SHA256
		f, info, err := a.OpenRender(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || string(data) != string(r.ID) || info.Size != file.Size || info.SHA256 != file.SHA256 {
			t.Errorf("%s: %q, %+v, %v", r.Kind, data, info, err)
		}
		receipt, err := a.RenderReceipt(t.Context(), r)
		if r.Kind == voice.RenderAgain && !bytes.Equal(receipt, []byte("{}")) || r.Kind != voice.RenderAgain && !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("%s: receipt %q, %v", r.Kind, receipt, err)
		}
		// Its ids are all that is needed to erase it.
		for range 2 {
			if err := a.EraseRender(t.Context(), rec, r.ID); err != nil {
				t.Fatal(err)
			}
		}
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("%s: left after the erasure: %v", r.Kind, left)
		}
	}
}

func TestRenderKeysKeepToTheirOwn(t *testing.T) {
	rec := recording()
	for _, r := range []voice.Render{
		{ID: "other.mp3", Kind: voice.RenderFormat},
		{ID: voice.RenderID(string(rec.ID) + ".wav"), Kind: voice.RenderFormat}, // the master
		{ID: voice.RenderID(string(rec.ID) + ".json"), Kind: voice.RenderPeaks}, // its receipt
		{ID: voice.FormatRender(rec.ID, voice.FormatMP3)},
	} {
		if file, _, err := archive.RenderKeys(rec, r); err == nil {
			t.Errorf("%s %s is kept at %s", r.Kind, r.ID, file)
		}
	}
}

// TestVerify: what is only in the archive is known to be what was stored there.
func TestVerify(t *testing.T) {
	a, dir := open(t)
	r := recording()
	file, err := a.Store(t.Context(), r, testkit.WriteFile(t, dir, "x.wav", wav), []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.File, r.Size, r.SHA256 = file.Key, file.Size, file.SHA256
	if err := a.Verify(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "files", filepath.FromSlash(file.Key))
	if err := os.WriteFile(path, []byte("RIFF, let us see"), 0o600); err != nil { // one byte
		t.Fatal(err)
	}
	if err := a.Verify(t.Context(), r); !errors.Is(err, archive.ErrMismatch) {
		t.Errorf("a byte is another: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := a.Verify(t.Context(), r); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("the file is gone: %v", err)
	}
}
