package publish

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// talk writes the journal of a stereo G.711 call in which both talk, a block for
// each 250 ms as the recorder does.
func (r *rig) talk(b *testing.B, path string, length time.Duration) {
	b.Helper()
	wall := time.Now().Add(-length)
	w, err := journal.Create(path, journal.Header{
		Recording: "template", Workspace: string(r.call.Workspace), Channel: string(r.call.Channel), Call: string(r.call.ID),
		Stereo: true, MaxLength: 2 * time.Hour, SampleRate: 8000, Wall: wall,
	}, nil)
	if err != nil {
		b.Fatal(err)
	}
	errs := []error{}
	for track, call := range []string{string(r.call.ID), "other"} {
		errs = append(errs, w.Control(journal.Entry{Kind: journal.KindTrackOpened, Track: uint16(track), Detail: journal.Detail{
			Call: call, Party: call, Role: "caller", Codecs: []journal.Codec{{PT: 0, Name: "PCMU", ClockRate: 8000}},
		}}))
	}
	errs = append(errs,
		w.Control(journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: wall}}),
		w.Control(journal.Entry{Kind: journal.KindJoined, Detail: journal.Detail{Call: string(r.call.ID), Other: "other"}}),
	)
	payload := make([]byte, 160)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	for i := range int(length / (20 * time.Millisecond)) {
		for track := range uint16(2) {
			at := time.Duration(i+1)*20*time.Millisecond + time.Duration(i*7919%4000)*time.Microsecond
			errs = append(errs, w.Packet(at, track, &journal.Packet{Seq: uint16(i), Time: uint32(160 * i), SSRC: uint32(track), Payload: payload}))
		}
		if i%12 == 11 {
			errs = append(errs, w.Flush())
		}
	}
	errs = append(errs, w.Control(journal.Entry{Kind: journal.KindStop, At: length, Detail: journal.Detail{
		Cause: string(voice.EndCallEnded), Offset: length, Wall: wall,
	}}), w.Sync(), w.Close())
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkPublish makes recordings available: from a job in the database and a
// journal to the stored files, their receipts and the rows. The time of the
// processor is that of the whole process.
func BenchmarkPublish(b *testing.B) {
	for name, length := range map[string]time.Duration{"30s": 30 * time.Second, "1h": time.Hour} {
		b.Run("talk="+name, func(b *testing.B) {
			r := newRig(b)
			template := filepath.Join(b.TempDir(), "template.journal")
			r.talk(b, template, length)
			recs := make([]voice.Recording, b.N)
			for i := range recs {
				recs[i] = r.row(b, voice.RecordingCompleted)
				if err := os.Link(template, r.o.Recorder.Path(recs[i].ID)); err != nil {
					b.Fatal(err)
				}
			}
			r.update(b, func(tx *store.Tx) error {
				for _, rec := range recs {
					if err := tx.InsertJob(r.job(rec)); err != nil {
						return err
					}
				}
				return nil
			})
			b.ReportAllocs()
			b.ResetTimer()
			before := processor(b)
			if err := r.runner(b).Idle(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64((processor(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
			b.StopTimer()
			for _, rec := range recs {
				if got := r.load(b, rec.ID); got.Status != voice.RecordingAvailable {
					b.Fatalf("recording is %s: %s", got.Status, got.Problem)
				}
			}
		})
	}
}

// processor is the time that this process has had of the processors.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
