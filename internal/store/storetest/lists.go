package storetest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

func testCallFilters(t *testing.T, open Opener) {
	db := opened(t, open)
	calls := make([]voice.Call, 8)
	for i := range calls {
		calls[i] = call(i)
	}
	calls[1].Channel = chB
	calls[2].Status = voice.CallOngoing
	calls[3].Status, calls[3].Channel = voice.CallBusy, chB
	calls[4].Type, calls[4].From = voice.CallSIP, "sip:x@y"
	calls[5].Direction, calls[5].To = voice.Outgoing, "+200"
	calls[6].Tags = []string{"a", "b"}
	calls[7].Tags, calls[7].Status = []string{"b"}, voice.CallRinging
	stranger := call(100)
	stranger.Workspace = wsB
	putCalls(t, db, calls...)
	putCalls(t, db, stranger)
	at := func(n int) time.Time { return epoch().Add(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		f    voice.CallFilter
		want []int
	}{
		"all":             {voice.CallFilter{}, []int{7, 6, 5, 4, 3, 2, 1, 0}},
		"channel":         {voice.CallFilter{Channels: []voice.ChannelID{chB}}, []int{3, 1}},
		"channels":        {voice.CallFilter{Channels: []voice.ChannelID{chB, chA, chB}}, []int{7, 6, 5, 4, 3, 2, 1, 0}},
		"id":              {voice.CallFilter{ID: calls[4].ID}, []int{4}},
		"id elsewhere":    {voice.CallFilter{ID: stranger.ID}, nil},
		"status":          {voice.CallFilter{Statuses: []voice.CallStatus{voice.CallBusy}}, []int{3}},
		"statuses":        {voice.CallFilter{Statuses: []voice.CallStatus{voice.CallBusy, voice.CallOngoing, voice.CallRinging}}, []int{7, 3, 2}},
		"status, channel": {voice.CallFilter{Statuses: []voice.CallStatus{voice.CallBusy, voice.CallOngoing}, Channels: []voice.ChannelID{chA, chB}}, []int{3, 2}},
		"types":           {voice.CallFilter{Types: []voice.CallType{voice.CallSIP, voice.CallWebRTC}}, []int{4}},
		"directions":      {voice.CallFilter{Directions: []voice.Direction{voice.Outgoing}}, []int{5}},
		"from":            {voice.CallFilter{From: "sip:x@y"}, []int{4}},
		"from, plus":      {voice.CallFilter{From: "100"}, []int{7, 6, 5, 3, 2, 1, 0}},
		"to":              {voice.CallFilter{To: "+200", Directions: []voice.Direction{voice.Outgoing}}, []int{5}},
		"tag":             {voice.CallFilter{Tags: []string{"b"}}, []int{7, 6}},
		"tags":            {voice.CallFilter{Tags: []string{"b", "a"}}, []int{6}},
		"start":           {voice.CallFilter{StartAt: at(6)}, []int{7, 6}},
		"end":             {voice.CallFilter{EndAt: at(1)}, []int{1, 0}},
		"span":            {voice.CallFilter{StartAt: at(2), EndAt: at(3)}, []int{3, 2}},
		"nothing":         {voice.CallFilter{StartAt: at(3), EndAt: at(2)}, nil},
	} {
		for _, limit := range []int{0, 1, 2, 3, 1000} {
			c.f.Workspace, c.f.Limit = wsA, limit
			if got := callIDs(t, db, c.f); !slices.Equal(got, c.want) {
				t.Errorf("%s, %d a page: got %v, want %v", name, limit, got, c.want)
			}
		}
	}
}

func testCallDurations(t *testing.T, open Opener) {
	db := opened(t, open)
	calls := []voice.Call{call(0), call(1), call(2), call(3)}
	calls[1].AnsweredAt = epoch()
	calls[1].EndedAt = epoch().Add(59*time.Second + 999*time.Millisecond)
	calls[2].AnsweredAt = epoch()
	calls[2].EndedAt = epoch().Add(time.Minute)
	calls[3].AnsweredAt = time.Now().Add(-time.Hour - 30*time.Minute) // goes on
	putCalls(t, db, calls...)
	for seconds, want := range map[int][]int{0: {0}, 59: {1}, 60: {2}, 61: nil} {
		d := time.Duration(seconds) * time.Second
		if got := callIDs(t, db, voice.CallFilter{Workspace: wsA, Duration: &d}); !slices.Equal(got, want) {
			t.Errorf("%d s: got %v, want %v", seconds, got, want)
		}
	}
	// What goes on is as long as it is now: some second within this test's run.
	found := false
	for seconds := range int(patience / time.Second) {
		d := 90*time.Minute + time.Duration(seconds)*time.Second
		found = found || len(callIDs(t, db, voice.CallFilter{Workspace: wsA, Duration: &d})) == 1
	}
	if !found {
		t.Error("the call that goes on was not found by its duration")
	}
}

func testRecordingFilters(t *testing.T, open Opener) {
	db := opened(t, open)
	all := make([]voice.Recording, 8)
	for i := range all {
		all[i] = recording(i)
		all[i].Status = voice.RecordingAvailable
	}
	all[1].Channel = chB
	all[2].Status = voice.RecordingOngoing
	all[3].Status, all[3].Channel = voice.RecordingCompleted, chB
	all[4].Direction = voice.Outgoing
	all[5].From = "555"
	all[6].To = "+666"
	all[7].Call = all[6].Call
	stranger := recording(100)
	stranger.Workspace = wsB
	putRecordings(t, db, all...)
	putRecordings(t, db, stranger)
	at := func(n int) time.Time { return epoch().Add(time.Duration(n) * time.Second) }
	for name, c := range map[string]struct {
		f    voice.RecordingFilter
		want []int
	}{
		"all":         {voice.RecordingFilter{}, []int{7, 6, 5, 4, 3, 2, 1, 0}},
		"channel":     {voice.RecordingFilter{Channel: chB}, []int{3, 1}},
		"call":        {voice.RecordingFilter{Call: all[6].Call}, []int{7, 6}},
		"status":      {voice.RecordingFilter{Status: voice.RecordingOngoing}, []int{2}},
		"live":        {voice.RecordingFilter{Live: true}, []int{3, 2}},
		"live status": {voice.RecordingFilter{Live: true, Status: voice.RecordingCompleted}, []int{3}},
		"live, ended": {voice.RecordingFilter{Live: true, Status: voice.RecordingAvailable}, nil},
		"live, call":  {voice.RecordingFilter{Live: true, Call: all[2].Call}, []int{2}},
		"direction":   {voice.RecordingFilter{Direction: voice.Outgoing}, []int{4}},
		"from":        {voice.RecordingFilter{From: "+555"}, []int{5}},
		"to":          {voice.RecordingFilter{To: "666"}, []int{6}},
		"span":        {voice.RecordingFilter{StartAt: at(2), EndAt: at(3)}, []int{3, 2}},
	} {
		for _, limit := range []int{0, 1, 3, 1000} {
			c.f.Workspace, c.f.Limit = wsA, limit
			if got := recordingIDs(t, db, c.f); !slices.Equal(got, c.want) {
				t.Errorf("%s, %d a page: got %v, want %v", name, limit, got, c.want)
			}
		}
	}
}

// testPages: rows with the same creation time are split over pages by their id.
func testPages(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	var want []int
	update(t, db, func(tx *store.Tx) error {
		for i := range 23 {
			r, c := recording(i), call(i)
			r.CreatedAt, c.CreatedAt = epoch(), epoch()
			want = append(want, 22-i)
			ch := voice.Channel{ID: voice.ChannelID(id(3, i)), Workspace: wsA, Number: fmt.Sprint(i), CreatedAt: epoch(), UpdatedAt: epoch()}
			for _, err := range []error{tx.PutRecording(r), tx.PutCall(c), tx.InsertChannel(ch)} {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	for _, limit := range []int{1, 5, 22, 23, 24} {
		page := voice.Page{Limit: limit}
		if got := recordingIDs(t, db, voice.RecordingFilter{Workspace: wsA, Page: page}); !slices.Equal(got, want) {
			t.Errorf("recordings, %d a page: %v", limit, got)
		}
		if got := callIDs(t, db, voice.CallFilter{Workspace: wsA, Page: page}); !slices.Equal(got, want) {
			t.Errorf("calls, %d a page: %v", limit, got)
		}
		var got []int
		for {
			var channels []voice.Channel
			view(t, db, func(tx *store.Tx) (err error) {
				channels, page.Token, err = tx.Channels(wsA, page)
				return err
			})
			if len(channels) > limit {
				t.Errorf("%d channels on a page of %d", len(channels), limit)
			}
			for _, c := range channels {
				got = append(got, numberOf(t, string(c.ID)))
			}
			if page.Token == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("channels, %d a page: %v", limit, got)
		}
	}
}

// testPagesWhileInserting: who pages through any list sees every row that was there
// at the first page exactly once, whatever comes in meanwhile.
func testPagesWhileInserting(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	const before = 60
	for n := range before {
		update(t, db, func(tx *store.Tx) error { return insertAll(tx, n) })
	}
	stop := make(chan struct{}) // closed by the reader
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for n := before + w; ; n += 2 {
				select {
				case <-stop:
					return
				default:
				}
				if err := db.Update(t.Context(), func(tx *store.Tx) error { return insertAll(tx, n) }); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for name, read := range pagedLists() {
		for range 2 {
			got := through(t, db, read)
			seen := map[int]int{}
			for _, n := range got {
				seen[n]++
			}
			for n := range before {
				if seen[n] != 1 {
					t.Errorf("%s: row %d was listed %d times", name, n, seen[n])
				}
			}
			if !slices.IsSortedFunc(got, func(a, b int) int { return b - a }) {
				t.Errorf("%s: not newest first", name)
			}
		}
	}
	close(stop)
	wg.Wait()
}

// insertAll makes the n-th row of every list.
func insertAll(tx *store.Tx, n int) error {
	c, r := call(n), recording(n)
	c.Tags = []string{"a", fmt.Sprint("b", n%2)}
	c.AnsweredAt, c.EndedAt = c.CreatedAt, c.CreatedAt.Add(time.Second)
	return errors.Join(
		tx.PutCall(c), tx.PutRecording(r),
		tx.InsertMedia(voice.Media{ID: voice.MediaID(id(8, n)), Workspace: wsA, CreatedAt: c.CreatedAt}),
		tx.PutTranscription(voice.Transcription{
			ID: voice.TranscriptionID(id(9, n)), Workspace: wsA, Recording: r.ID, Call: c.ID, Channel: chA,
			Status: voice.TranscriptionAvailable, CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt,
		}),
		tx.InsertChannel(voice.Channel{ID: voice.ChannelID(id(3, n)), Workspace: wsA, Number: fmt.Sprint(n), CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt}),
	)
}

// readPage reads a page of a list, and returns the ids on it and the token of the
// next one.
type readPage func(*store.Tx, voice.Page) ([]string, string, error)

func pagedLists() map[string]readPage {
	calls := func(f voice.CallFilter) readPage {
		return func(tx *store.Tx, p voice.Page) ([]string, string, error) {
			f.Workspace, f.Page = wsA, p
			rows, next, err := tx.Calls(f)
			return idsOf(rows, func(c *voice.Call) string { return string(c.ID) }), next, err
		}
	}
	recordings := func(f voice.RecordingFilter) readPage {
		return func(tx *store.Tx, p voice.Page) ([]string, string, error) {
			f.Workspace, f.Page = wsA, p
			rows, next, err := tx.Recordings(f)
			return idsOf(rows, func(r *voice.Recording) string { return string(r.ID) }), next, err
		}
	}
	second := time.Second
	return map[string]readPage{
		"calls":               calls(voice.CallFilter{}),
		"calls by tag":        calls(voice.CallFilter{Tags: []string{"a"}}),
		"calls by direction":  calls(voice.CallFilter{Directions: []voice.Direction{voice.Incoming}}),
		"calls by type":       calls(voice.CallFilter{Types: []voice.CallType{voice.CallPSTN, voice.CallSIP}}),
		"calls by duration":   calls(voice.CallFilter{Duration: &second}),
		"calls by parties":    calls(voice.CallFilter{From: "100", To: "200"}),
		"calls by statuses":   calls(voice.CallFilter{Statuses: []voice.CallStatus{voice.CallAccepted, voice.CallBusy}, Channels: []voice.ChannelID{chA, chB}}),
		"recordings":          recordings(voice.RecordingFilter{}),
		"recordings, live":    recordings(voice.RecordingFilter{Live: true, Channel: chA}),
		"recordings by party": recordings(voice.RecordingFilter{From: "100", Direction: voice.Incoming}),
		"media": func(tx *store.Tx, p voice.Page) ([]string, string, error) {
			rows, next, err := tx.MediaList(wsA, p)
			return idsOf(rows, func(m *voice.Media) string { return string(m.ID) }), next, err
		},
		"transcriptions": func(tx *store.Tx, p voice.Page) ([]string, string, error) {
			rows, next, err := tx.Transcriptions(voice.TranscriptionFilter{Workspace: wsA, Page: p})
			return idsOf(rows, func(r *voice.Transcription) string { return string(r.ID) }), next, err
		},
		"channels": func(tx *store.Tx, p voice.Page) ([]string, string, error) {
			rows, next, err := tx.Channels(wsA, p)
			return idsOf(rows, func(c *voice.Channel) string { return string(c.ID) }), next, err
		},
	}
}

func idsOf[T any](rows []T, id func(*T) string) []string {
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = id(&rows[i])
	}
	return out
}

// through reads all pages of a list, each in a transaction of its own.
func through(t testing.TB, db *store.DB, read readPage) (numbers []int) {
	t.Helper()
	page := voice.Page{Limit: 7}
	for {
		var ids []string
		view(t, db, func(tx *store.Tx) (err error) {
			ids, page.Token, err = read(tx, page)
			return err
		})
		for _, id := range ids {
			numbers = append(numbers, numberOf(t, id))
		}
		if page.Token == "" {
			return numbers
		}
	}
}

func testPageTokens(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	putRecordings(t, db, recording(1), recording(2))
	var good string
	view(t, db, func(tx *store.Tx) (err error) {
		_, good, err = tx.Recordings(voice.RecordingFilter{Workspace: wsA, Page: voice.Page{Limit: 1}})
		return err
	})
	if good == "" {
		t.Fatal("no token for the next page")
	}
	raw, err := base64.RawURLEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	raw[3] ^= 1
	changed := base64.RawURLEncoding.EncodeToString(raw)
	for _, token := range []string{"x", "!!", good[1:], good[:len(good)-2], good + "AAAA", changed, "AAAAAAAAAAAAAAAAAAAAAAAA", "\x00"} {
		err := db.View(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.Recordings(voice.RecordingFilter{Workspace: wsA, Page: voice.Page{Limit: 1, Token: token}})
			return err
		})
		if voice.CodeOf(err) != voice.CodeInvalidParameter {
			t.Errorf("token %q: %v", token, err)
		}
	}
	// A token is good for its own list only.
	for name, list := range map[string]func(*store.Tx) error{
		"calls": func(tx *store.Tx) error {
			_, _, err := tx.Calls(voice.CallFilter{Workspace: wsA, Page: voice.Page{Limit: 1, Token: good}})
			return err
		},
		"channels": func(tx *store.Tx) error {
			_, _, err := tx.Channels(wsA, voice.Page{Limit: 1, Token: good})
			return err
		},
	} {
		if err := db.View(t.Context(), list); voice.CodeOf(err) != voice.CodeInvalidParameter {
			t.Errorf("%s took the token of recordings: %v", name, err)
		}
	}
}
