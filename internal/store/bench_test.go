package store

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"tapedeck/internal/voice"
)

const benchRecordings = 100_000

// filled makes a database with many calls and as many recordings, of one
// workspace. Some values are common and some are rare: 1 in 1000 is not finished,
// and 10 of all are incoming.
func filled(b *testing.B) *DB {
	b.Helper()
	db := openTemp(b)
	const group = 5000
	for from := 0; from < benchRecordings; from += group {
		err := db.Update(b.Context(), func(tx *Tx) error {
			for n := from; n < from+group; n++ {
				if err := benchRow(tx, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return db
}

func benchTime(n int) time.Time { return time.Unix(1_800_000_000+int64(n), 0) }

func benchRow(tx *Tx, n int) error {
	at := benchTime(n)
	c := voice.Call{
		ID: voice.CallID(NewID()), Workspace: "w", Channel: voice.ChannelID(fmt.Sprint("c", n%10)),
		From: fmt.Sprint("+3512", n%500), To: fmt.Sprint("+3513", n%7), Direction: voice.Outgoing,
		Type: voice.CallPSTN, Status: voice.CallCompleted, CreatedAt: at, UpdatedAt: at,
		AnsweredAt: at, EndedAt: at.Add(time.Duration(n%600) * time.Second), Tags: []string{"all"},
	}
	r := voice.Recording{
		ID: voice.RecordingID(NewID()), Workspace: "w", Channel: c.Channel, Call: c.ID,
		Status: voice.RecordingAvailable, Origin: voice.OriginBridgeCall,
		Direction: c.Direction, From: c.From, To: c.To, CreatedAt: at, UpdatedAt: at,
	}
	if n%1000 == 0 {
		c.Status, c.EndedAt, r.Status = voice.CallOngoing, time.Time{}, voice.RecordingCompleted
		c.Tags = append(c.Tags, "rare")
	}
	if n%10_000 == 1 {
		c.Direction, c.Type, r.Direction = voice.Incoming, voice.CallSIP, voice.Incoming
	}
	if err := tx.PutCall(c); err != nil {
		return err
	}
	return tx.PutRecording(r)
}

// pages measures how long one page of each list takes, each from the beginning and
// from the middle.
func pages(b *testing.B, db *DB, list byte, read map[string]func(*Tx, voice.Page) (int, error)) {
	b.Helper()
	middle := place{at: benchTime(benchRecordings / 2).UnixMicro(), id: "~"}.token(list)
	for _, name := range slices.Sorted(maps.Keys(read)) {
		for where, token := range map[string]string{"first": "", "middle": middle} {
			b.Run(name+"/"+where, func(b *testing.B) {
				for b.Loop() {
					err := db.View(b.Context(), func(tx *Tx) error {
						_, err := read[name](tx, voice.Page{Limit: 100, Token: token})
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkLists reads pages of 100 out of 100,000 calls and as many recordings, by
// every filter and by pairs of them: also by pairs that nothing, or next to
// nothing, has.
func BenchmarkLists(b *testing.B) {
	db := filled(b)
	calls := map[string]func(*Tx, voice.Page) (int, error){}
	for name, f := range callFilters() {
		calls["calls "+name] = func(tx *Tx, p voice.Page) (int, error) {
			f.Workspace, f.Page = "w", p
			got, _, err := tx.Calls(f)
			return len(got), err
		}
	}
	recordings := map[string]func(*Tx, voice.Page) (int, error){}
	for name, f := range recordingFilters() {
		recordings["recordings "+name] = func(tx *Tx, p voice.Page) (int, error) {
			f.Workspace, f.Page = "w", p
			got, _, err := tx.Recordings(f)
			return len(got), err
		}
	}
	pages(b, db, listCalls, calls)
	pages(b, db, listRecordings, recordings)
}

func callFilters() map[string]voice.CallFilter {
	channel, incoming := []voice.ChannelID{"c3"}, []voice.Direction{voice.Incoming}
	ongoing, busy := []voice.CallStatus{voice.CallOngoing}, []voice.CallStatus{voice.CallBusy}
	short, never := time.Minute, 700*time.Second
	return map[string]voice.CallFilter{
		"all":                {},
		"channel":            {Channels: channel},
		"channels":           {Channels: []voice.ChannelID{"c1", "c2", "c3"}},
		"status":             {Statuses: ongoing},
		"statuses":           {Statuses: []voice.CallStatus{voice.CallOngoing, voice.CallCompleted, voice.CallBusy}},
		"no such status":     {Statuses: busy},
		"type":               {Types: []voice.CallType{voice.CallSIP}},
		"types":              {Types: []voice.CallType{voice.CallSIP, voice.CallWebRTC}},
		"direction":          {Directions: incoming},
		"common direction":   {Directions: []voice.Direction{voice.Outgoing}},
		"id":                 {ID: "none"},
		"from":               {From: "35120"},
		"no such from":       {From: "1"},
		"to":                 {To: "+35131"},
		"duration":           {Duration: &short},
		"no such duration":   {Duration: &never},
		"tag":                {Tags: []string{"all"}},
		"rare tag":           {Tags: []string{"rare"}},
		"tags":               {Tags: []string{"all", "rare"}},
		"no such tag":        {Tags: []string{"none"}},
		"span":               {StartAt: benchTime(100), EndAt: benchTime(50_000)},
		"channel, status":    {Channels: channel, Statuses: busy},
		"channel, direction": {Channels: channel, Directions: incoming},
		"channel, type":      {Channels: channel, Types: []voice.CallType{voice.CallSIP}},
		"channel, from":      {Channels: channel, From: "35120"},
		"channel, to":        {Channels: channel, To: "35131"},
		"channel, duration":  {Channels: channel, Duration: &never},
		"channel, tag":       {Channels: channel, Tags: []string{"rare"}},
		"from, to":           {From: "35120", To: "35131"},
		"from, status":       {From: "35120", Statuses: busy},
		"status, direction":  {Statuses: ongoing, Directions: incoming},
		"direction, type":    {Directions: incoming, Types: []voice.CallType{voice.CallPSTN}},
		"common, duration":   {Directions: []voice.Direction{voice.Outgoing}, Duration: &never},
		"status, span":       {Statuses: ongoing, StartAt: benchTime(100), EndAt: benchTime(50_000)},
		"tag, status":        {Tags: []string{"rare"}, Statuses: busy},
		"to, direction":      {To: "35131", Directions: incoming},
	}
}

func recordingFilters() map[string]voice.RecordingFilter {
	return map[string]voice.RecordingFilter{
		"all":                {},
		"channel":            {Channel: "c3"},
		"call":               {Call: "none"},
		"status":             {Status: voice.RecordingCompleted},
		"live":               {Live: true},
		"no such status":     {Status: voice.RecordingFailed},
		"direction":          {Direction: voice.Incoming},
		"common direction":   {Direction: voice.Outgoing},
		"from":               {From: "35120"},
		"to":                 {To: "35131"},
		"span":               {StartAt: benchTime(100), EndAt: benchTime(50_000)},
		"channel, status":    {Channel: "c0", Status: voice.RecordingCompleted},
		"channel, none":      {Channel: "c3", Status: voice.RecordingFailed},
		"channel, direction": {Channel: "c3", Direction: voice.Incoming},
		"channel, to":        {Channel: "c3", To: "35131"},
		"status, direction":  {Status: voice.RecordingAvailable, Direction: voice.Incoming},
		"from, to":           {From: "35120", To: "35131"},
		"to, direction":      {To: "35131", Direction: voice.Incoming},
		"status, span":       {Status: voice.RecordingFailed, StartAt: benchTime(100), EndAt: benchTime(50_000)},
	}
}

// BenchmarkCount counts 100,000 recordings by their status.
func BenchmarkCount(b *testing.B) {
	db := filled(b)
	for b.Loop() {
		if err := db.View(b.Context(), func(tx *Tx) error { _, err := tx.CountRecordings(); return err }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUpdate writes a call and waits for the disk.
func BenchmarkUpdate(b *testing.B) {
	db := openTemp(b)
	c := someCall(1)
	for b.Loop() {
		if err := db.Update(b.Context(), func(tx *Tx) error { return tx.PutCall(c) }); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQueue writes calls in groups.
func BenchmarkQueue(b *testing.B) {
	db := openTemp(b)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c := someCall(n)
		db.Queue(func(tx *Tx) error { return tx.PutCall(c) }, nil)
		if n%5000 == 0 {
			if err := db.Update(b.Context(), func(*Tx) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := db.Update(b.Context(), func(*Tx) error { return nil }); err != nil {
		b.Fatal(err)
	}
	s := db.Stats()
	b.ReportMetric(float64(s.Functions)/float64(s.Transactions), "functions/commit")
}

// BenchmarkReplace writes calls in groups, each in four states that follow each other.
func BenchmarkReplace(b *testing.B) {
	db := openTemp(b)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		c := someCall(n)
		row := new(Row)
		for range 4 {
			db.Replace(row, func(tx *Tx) error { return tx.PutCall(c) }, nil)
		}
		if n%1000 == 0 {
			if err := db.Update(b.Context(), func(*Tx) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := db.Update(b.Context(), func(*Tx) error { return nil }); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkChannelForNumber looks up whose an incoming call is, among 1000 channels.
func BenchmarkChannelForNumber(b *testing.B) {
	db := openTemp(b)
	err := db.Update(b.Context(), func(tx *Tx) error {
		at := time.Unix(1_800_000_000, 0)
		if err := tx.InsertWorkspace(voice.Workspace{ID: "w", CreatedAt: at, UpdatedAt: at}); err != nil {
			return err
		}
		for n := range 1000 {
			c := voice.Channel{ID: voice.ChannelID(NewID()), Workspace: "w", Number: fmt.Sprint("+3512", n), CreatedAt: at, UpdatedAt: at}
			if err := tx.InsertChannel(c); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if c, err := db.ChannelForNumber(b.Context(), "3512500"); err != nil || c.Number != "+3512500" {
			b.Fatal(c, err)
		}
	}
}

// BenchmarkCall writes what a bridged and recorded call has to say of itself, with its
// events, 100 calls at once: two calls and a recording in each of their states.
func BenchmarkCall(b *testing.B) {
	db := openTemp(b)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		writeCall(db, n)
		if n%100 == 0 {
			if err := db.Update(b.Context(), func(*Tx) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := db.Update(b.Context(), func(*Tx) error { return nil }); err != nil {
		b.Fatal(err)
	}
}

func writeCall(db *DB, n int) {
	near, far := someCall(2*n), someCall(2*n+1)
	near.ID, far.ID = voice.CallID(NewID()), voice.CallID(NewID())
	rec := voice.Recording{
		ID: voice.RecordingID(NewID()), Workspace: "w", Channel: near.Channel, Call: near.ID,
		Origin: voice.OriginBridgeCall, CreatedAt: near.CreatedAt, UpdatedAt: near.CreatedAt,
	}
	var rows [3]Row
	call := func(r *Row, c voice.Call, s voice.CallStatus) {
		c.Status = s
		db.Show(r, func(tx *Tx) error { return tx.PutCall(c) }, nil)
	}
	record := func(r *Row, s voice.RecordingStatus) {
		rec := rec
		rec.Status = s
		db.Show(r, func(tx *Tx) error { return tx.PutRecording(rec) }, nil)
	}
	call(&rows[0], near, voice.CallStarting)
	call(&rows[1], far, voice.CallAccepted)
	record(&rows[2], voice.RecordingAccepted)
	for _, s := range []voice.CallStatus{voice.CallStarting, voice.CallRinging, voice.CallOngoing} {
		call(&rows[1], far, s)
	}
	call(&rows[0], near, voice.CallOngoing)
	record(&rows[2], voice.RecordingOngoing)
	record(&rows[2], voice.RecordingCompleted)
	call(&rows[0], near, voice.CallCompleted)
	call(&rows[1], far, voice.CallCompleted)
}
