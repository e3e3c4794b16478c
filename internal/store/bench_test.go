package store

import (
	"fmt"
	"testing"
	"time"

	"tapedeck/internal/voice"
)

const benchRecordings = 100_000

// filled makes a database with many recordings: 1 in 1000 is not finished.
func filled(b *testing.B) *DB {
	b.Helper()
	db := openTemp(b)
	for from := 0; from < benchRecordings; from += 2000 {
		err := db.Update(b.Context(), func(tx *Tx) error {
			for n := from; n < from+2000; n++ {
				at := time.Unix(1_800_000_000+int64(n), 0)
				r := voice.Recording{
					ID: voice.RecordingID(NewID()), Workspace: "w", Channel: voice.ChannelID(fmt.Sprint("c", n%10)),
					Call: voice.CallID(NewID()), Status: voice.RecordingAvailable, Origin: voice.OriginBridgeCall,
					From: fmt.Sprint("+3512", n%500), To: "1000", CreatedAt: at, UpdatedAt: at,
				}
				if n%1000 == 0 {
					r.Status = voice.RecordingCompleted
				}
				if err := tx.PutRecording(r); err != nil {
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

// BenchmarkRecordings reads a page of 100 out of 100,000.
func BenchmarkRecordings(b *testing.B) {
	db := filled(b)
	middle := place{at: time.Unix(1_800_000_000+benchRecordings/2, 0).UnixMicro(), id: "~"}.token(listRecordings)
	for name, f := range map[string]voice.RecordingFilter{
		"first":   {},
		"middle":  {Page: voice.Page{Token: middle}},
		"channel": {Channel: "c3"},
		"from":    {From: "35120", Page: voice.Page{Token: middle}},
		"live":    {Live: true},
		"status":  {Status: voice.RecordingCompleted, Channel: "c0"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			f.Workspace, f.Limit = "w", 100
			for b.Loop() {
				err := db.View(b.Context(), func(tx *Tx) error {
					got, _, err := tx.Recordings(f)
					if len(got) == 0 {
						b.Error("nothing found")
					}
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if err := db.View(b.Context(), func(tx *Tx) error { _, err := tx.CountRecordings(); return err }); err != nil {
				b.Fatal(err)
			}
		}
	})
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
