package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// broken is a writer that takes so many bytes.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	if len(p) > b.left {
		return b.left, io.ErrShortWrite
	}
	b.left -= len(p)
	return len(p), nil
}

func TestAudio(t *testing.T) {
	body := audio()
	tag := `"` + sum(body) + `"`
	for name, c := range map[string]struct {
		shelf  shelf
		proved bool
		gets   int
	}{
		"whole":                 {shelf{tag: tag}, true, 1},
		"cut twice":             {shelf{tag: tag, cut: []int{1000, 250_000}}, true, 3},
		"cut before it began":   {shelf{tag: tag, cut: []int{0, 0}}, true, 3},
		"no hash":               {shelf{tag: `"1"`, cut: []int{10}}, false, 2},
		"no room, being made":   {shelf{tag: tag, refuse: []int{503, 503, 503, 503, 503, 503, 503}, code: "not_ready"}, true, 1},
		"silent in the middle":  {shelf{tag: tag, stall: true}, true, 2},
		"empty":                 {shelf{tag: `"` + sum(nil) + `"`}, true, 1},
		"again and again a bit": {shelf{tag: tag, cut: []int{10, 10, 10, 10, 10, 10, 10, 10}}, true, 9},
	} {
		t.Run(name, func(t *testing.T) {
			if c.shelf.body = body; name == "empty" {
				c.shelf.body = nil
			}
			api := c.shelf.client(t)
			if c.shelf.stall {
				api.o.Timeout = 300e6
			}
			var w bytes.Buffer
			got, err := api.Audio(t.Context(), RecordingPath("a", AudioFormatWav), &w)
			if err != nil || !bytes.Equal(w.Bytes(), c.shelf.body) || got.Proved != c.proved || got.SHA256 != sum(w.Bytes()) || c.shelf.gets != c.gets {
				t.Errorf("%+v, %v; %d bytes after %d questions", got, err, w.Len(), c.shelf.gets)
			}
		})
	}
}

func TestAudioFails(t *testing.T) {
	body := audio()
	tag := `"` + sum(body) + `"`
	for name, c := range map[string]struct {
		shelf shelf
		w     io.Writer
		want  func(error) bool
	}{
		"changed":   {shelf{body: body, tag: tag, cut: []int{1000}, whole: true}, io.Discard, func(err error) bool { return errors.Is(err, ErrChanged) }},
		"damaged":   {shelf{body: body, tag: `"` + sum(nil) + `"`}, io.Discard, func(err error) bool { return errors.Is(err, ErrDamaged) }},
		"not there": {shelf{refuse: []int{404}, code: "not_found"}, io.Discard, func(err error) bool { return CodeOf(err) == CodeNotFound }},
		"no place":  {shelf{body: body, tag: tag}, &broken{5}, func(err error) bool { return errors.Is(err, io.ErrShortWrite) }},
		"always cut": {shelf{body: body, tag: tag, cut: []int{0, 0, 0, 0, 0}}, io.Discard, func(err error) bool {
			return err != nil && strings.Contains(err.Error(), "a.wav")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := c.shelf.client(t).Audio(t.Context(), RecordingPath("a", AudioFormatWav), c.w); !c.want(err) {
				t.Error(err)
			}
		})
	}
	s := shelf{body: body, tag: tag, stall: true}
	api := s.client(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := api.Audio(ctx, RenderPath("a", "b"), writer(func(p []byte) (int, error) { cancel(); return len(p), nil }))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestAudioRange(t *testing.T) {
	body := audio()
	s := shelf{body: body, tag: `"x"`}
	api := s.client(t)
	for _, c := range []struct{ from, count, want int64 }{
		{0, 44, 44}, {300_000, 10, 1}, {10, 0, int64(len(body)) - 10}, {0, 0, int64(len(body))},
	} {
		var w bytes.Buffer
		n, err := api.AudioRange(t.Context(), "/recordings/a.wav", c.from, c.count, &w)
		if err != nil || n != c.want || !bytes.Equal(w.Bytes(), body[c.from:c.from+c.want]) {
			t.Errorf("%+v: %d, %v", c, n, err)
		}
	}
	var e *Error
	if _, err := api.AudioRange(t.Context(), "/recordings/a.wav", 1<<40, 1, io.Discard); !errors.As(err, &e) || e.Status != 416 {
		t.Error(err)
	}
	s.whole = true
	if _, err := api.AudioRange(t.Context(), "/recordings/a.wav", 5, 1, io.Discard); err == nil {
		t.Error("all of it was taken for a part")
	}
}
