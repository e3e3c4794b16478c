package storetest

import (
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

func testRenders(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	at := epoch().Truncate(time.Microsecond)
	rec := voice.Recording{
		ID: voice.RecordingID(id(70, 1)), Workspace: wsA, Channel: chA, Call: voice.CallID(id(71, 1)),
		Status: voice.RecordingAvailable, Origin: voice.OriginCommandRecordCall, Direction: voice.Incoming, CreatedAt: at, UpdatedAt: at,
	}
	again := voice.Render{
		ID: voice.RenderID(id(72, 1)), Workspace: wsA, Recording: rec.ID, Kind: voice.RenderAgain, Status: voice.RenderAccepted,
		Stereo: true, Swap: true, Format: voice.FormatMP3, CreatedAt: at, UpdatedAt: at,
	}
	format := voice.Render{
		ID: voice.FormatRender(rec.ID, voice.FormatOgg), Workspace: wsA, Recording: rec.ID, Kind: voice.RenderFormat,
		Status: voice.RenderAccepted, Format: voice.FormatOgg, CreatedAt: at.Add(time.Second), UpdatedAt: at,
	}
	later := again
	later.ID, later.CreatedAt = voice.RenderID(id(72, 2)), at.Add(time.Hour)
	update(t, db, func(tx *store.Tx) error {
		if err := tx.PutRecording(rec); err != nil {
			return err
		}
		for _, r := range []voice.Render{again, format, later} {
			if err := tx.PutRender(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err := db.Update(t.Context(), func(tx *store.Tx) error {
		orphan := again
		orphan.ID, orphan.Recording = voice.RenderID(id(72, 3)), voice.RecordingID(id(70, 9))
		return tx.PutRender(orphan)
	}); err == nil {
		t.Error("a render of no recording was written")
	}

	// What was asked for stays; how it went is replaced.
	done := again
	done.Status, done.Problem, done.File, done.Receipt = voice.RenderAvailable, "slow", "a/b", "a/c"
	done.Size, done.SHA256, done.Duration, done.UpdatedAt = 7, "ff", time.Second, at.Add(time.Minute)
	changed := done
	changed.Swap, changed.Format, changed.CreatedAt = false, voice.FormatWAV, at.Add(time.Hour)
	update(t, db, func(tx *store.Tx) error { return tx.PutRender(changed) })
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Render(rec.ID, again.ID)
		if err != nil {
			return err
		}
		wantEqual(t, got, done)
		_, err = tx.Render(voice.RecordingID(id(70, 9)), again.ID)
		wantCode(t, err, voice.CodeNotFound)

		page, token, err := tx.Renders(rec.ID, voice.Page{Limit: 1})
		if err != nil {
			return err
		}
		wantEqual(t, page, []voice.Render{later})
		page, token, err = tx.Renders(rec.ID, voice.Page{Limit: 1, Token: token})
		if err != nil {
			return err
		}
		wantEqual(t, page, []voice.Render{done})
		wantEqual(t, token, "")
		n, err := tx.CountRenders(rec.ID)
		if err != nil {
			return err
		}
		wantEqual(t, n, int64(2))
		waiting, err := tx.WaitingRenders()
		if err != nil {
			return err
		}
		wantEqual(t, waiting, []voice.Render{format, later})
		all, err := tx.RendersOf(rec.ID)
		if err != nil {
			return err
		}
		wantEqual(t, all, []voice.Render{done, format, later})
		return nil
	})
	update(t, db, func(tx *store.Tx) error { return tx.DeleteRenders(rec.ID) })
	view(t, db, func(tx *store.Tx) error {
		all, err := tx.RendersOf(rec.ID)
		wantEqual(t, len(all), 0)
		return err
	})
}
