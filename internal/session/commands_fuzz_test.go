package session

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/recorder"
	"tapedeck/internal/voice"
)

// order is a command that was given, and its answer.
type order struct {
	from, to time.Duration // when it was given, and answered
	want     voice.RecordingStatus
	code     voice.Code // of the refusal; empty = it was carried out
	got      voice.RecordingStatus
}

// TestCommandsOnARecordingAreLinear lets several clients pause, resume and stop
// the recordings of live calls at once, in any order, while others begin and the
// call ends at some moment. Whatever comes of it: the answers are those of
// commands that were carried out one after the other, each recording ends, the
// journal tells the same story as the answers, and nothing is left behind.
func TestCommandsOnARecordingAreLinear(t *testing.T) {
	r := newRig(t, nil)
	seed := rand.Uint64()
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	for round := range 12 {
		r.fuzzCall(t, rand.New(rand.NewPCG(seed, uint64(round))))
	}
	r.nothingLeft(t)
}

// nothingLeft: no call is left, and every journal has its end, also those of
// recordings whose request was not answered any more.
func (r *rig) nothingLeft(t *testing.T) {
	t.Helper()
	errorless(t, r.Close())
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.calls) > 0 {
		t.Errorf("%d calls are left", len(r.calls))
	}
	left, err := recorder.Recover(filepath.Dir(r.records.Path("any")))
	if err != nil || len(left) < 2 {
		t.Errorf("%d journals, %v", len(left), err)
	}
	for _, j := range left {
		if !j.Ended || j.Err != nil {
			t.Errorf("journal %s has no end: %v", j.Path, j.Err)
		}
	}
}

func (r *rig) fuzzCall(t *testing.T, random *rand.Rand) {
	near, c := r.up()
	start := time.Now()
	var mu sync.Mutex // guards the rest
	orders := map[voice.RecordingID][]order{}
	record := func() {
		_, id, err := r.Record(t.Context(), c.ID, &voice.RecordCall{Stereo: true})
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			orders[id] = nil
		} else if code := voice.CodeOf(err); code != voice.CodeNotFound && code != voice.CodeCallNotActive {
			t.Errorf("record: %v", err)
		}
	}
	record()
	record()
	known := func(n int) voice.RecordingID {
		mu.Lock()
		defer mu.Unlock()
		ids := make([]voice.RecordingID, 0, len(orders))
		for id := range orders {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return ids[n%len(ids)]
	}
	var clients sync.WaitGroup
	for client := range 4 {
		own := rand.New(rand.NewPCG(random.Uint64(), uint64(client)))
		clients.Go(func() {
			for range 30 {
				id := known(own.IntN(8))
				behavior := voice.PauseBehavior("")
				to := voice.RecordingOngoing
				switch n := own.IntN(20); {
				case n == 0:
					to = voice.RecordingCompleted
				case n == 1:
					record()
					continue
				case n < 10:
					to = voice.RecordingPaused
					behavior = []voice.PauseBehavior{voice.PauseSilence, voice.PauseSkip}[own.IntN(2)]
				}
				o := order{from: time.Since(start), want: to}
				rec, err := r.UpdateRecording(t.Context(), c.ID, id, to, behavior)
				o.to, o.code, o.got = time.Since(start), voice.CodeOf(err), rec.Status
				if err == nil {
					o.code = ""
				}
				mu.Lock()
				orders[id] = append(orders[id], o)
				mu.Unlock()
			}
		})
	}
	if random.IntN(2) == 0 {
		clients.Wait()
	}
	errorless(t, near.Hangup(16))
	clients.Wait()
	r.stored(c.ID)
	for id, list := range orders {
		rec := r.storedRecording(id, voice.RecordingCompleted)
		stop := false
		for _, o := range list {
			if err := o.fits(); err != nil {
				t.Errorf("recording %s: %v", id, err)
			}
			stop = stop || o.want == voice.RecordingCompleted && o.code == ""
		}
		if want := map[bool]voice.EndCause{true: voice.EndStopped, false: voice.EndCallEnded}[stop]; rec.EndCause != want {
			t.Errorf("recording %s ended by %s, want %s", id, rec.EndCause, want)
		}
		if err := linear(list); err != nil {
			t.Errorf("recording %s: %v", id, err)
		}
		r.tellsTheSame(t, id, list)
	}
}

// fits checks an answer by itself.
func (o *order) fits() error {
	switch o.code {
	case "":
		if o.got == o.want || o.want == voice.RecordingCompleted && !o.got.Capturing() {
			return nil
		}
	case voice.CodeRecordingNotActive, voice.CodeNotFound, voice.CodeCallNotActive:
		return nil
	}
	return fmt.Errorf("asked for %s, answered %q and is %s", o.want, o.code, o.got)
}

// linear checks that once a stop was answered, no later command was carried out,
// but for asking for what is.
func linear(list []order) error {
	for _, stop := range list {
		if stop.want != voice.RecordingCompleted || stop.code != "" {
			continue
		}
		for _, o := range list {
			if o.from > stop.to && o.code == "" && o.want != voice.RecordingCompleted {
				return fmt.Errorf("%s was carried out %v after the stop", o.want, o.from-stop.to)
			}
		}
	}
	return nil
}

// tellsTheSame checks the journal: pauses and resumes take turns, with offsets
// that grow, one stop ends it, and there are no more of them than answers.
func (r *rig) tellsTheSame(t *testing.T, id voice.RecordingID, list []order) {
	t.Helper()
	j := r.journal(id)
	defer j.Close()
	shut, stopped := false, false
	last, marks := time.Duration(0), 0
	var e journal.Entry
	for j.Next(&e) == nil {
		if e.Repeat || e.Kind != journal.KindPaused && e.Kind != journal.KindResumed && e.Kind != journal.KindStop {
			continue
		}
		if stopped || e.Detail.Offset < last || e.Kind == journal.KindPaused == shut && e.Kind != journal.KindStop {
			t.Errorf("recording %s: %s at %v after %v, gate shut %v, stopped %v", id, e.Kind, e.Detail.Offset, last, shut, stopped)
		}
		shut, stopped, last = e.Kind == journal.KindPaused, e.Kind == journal.KindStop, e.Detail.Offset
		marks++
	}
	carried := 1 // the end
	for _, o := range list {
		if o.code == "" && o.want != voice.RecordingCompleted {
			carried++
		}
	}
	if !stopped || marks > carried {
		t.Errorf("recording %s: stopped %v, %d marks in the journal, %d answers", id, stopped, marks, carried)
	}
}
