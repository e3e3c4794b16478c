package storetest

import (
	"crypto/sha256"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

func testWorkspaces(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	w := voice.Workspace{ID: wsA, Name: "a", CreatedAt: epoch(), UpdatedAt: epoch()}
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Workspace(wsA)
		wantEqual(t, got, w)
		if err != nil {
			return err
		}
		all, err := tx.Workspaces()
		if len(all) != 2 || all[0] != w {
			t.Errorf("workspaces: %+v", all)
		}
		_, missing := tx.Workspace("nobody")
		wantCode(t, missing, voice.CodeNotFound)
		for _, means := range []string{string(wsA), strings.ToUpper(string(wsA)), "a"} {
			found, findErr := tx.FindWorkspace(means)
			wantEqual(t, found, w)
			err = errors.Join(err, findErr)
		}
		_, missing = tx.FindWorkspace("nobody")
		wantCode(t, missing, voice.CodeNotFound)
		_, unclear := tx.FindWorkspace("")
		wantCode(t, unclear, voice.CodeInvalidParameter)
		return err
	})
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertWorkspace(w) }), voice.CodeConflict)
}

func fullChannel() voice.Channel {
	no := false
	return voice.Channel{
		ID: chA, Workspace: wsA, Name: "Recepção", Number: "+351210000000",
		Trunk: voice.Trunk{URI: "sip:192.0.2.1:5060;transport=tcp", Username: "u", Password: "s3cret"},
		Inbound: voice.Inbound{
			Sources:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			Username: "in", Password: "'; DROP TABLE channels; --", RingTimeout: 20,
			Flow: []voice.FlowCommand{
				{Command: &voice.Bridge{To: "{to}", Record: true, RecordStereo: true, HangupAfterBridge: &no}},
				{Command: &voice.Hangup{}, Conditions: []voice.Condition{{Variable: "keys", Operator: "eq", Value: "1"}}},
			},
		},
		Codecs: []string{"PCMA", "PCMU"}, CreatedAt: epoch(), UpdatedAt: epoch().Add(time.Second),
	}
}

func testChannels(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	c := fullChannel()
	update(t, db, func(tx *store.Tx) error { return tx.InsertChannel(c) })
	read := func(ws voice.WorkspaceID) (got voice.Channel, err error) {
		err = db.View(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.Channel(ws, chA); return err })
		return got, err
	}
	got, err := read(wsA)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, c)
	_, err = read(wsB)
	wantCode(t, err, voice.CodeNotFound)

	c.Name, c.Number, c.Trunk, c.UpdatedAt = "two", "77", voice.Trunk{}, epoch().Add(time.Minute)
	changed := c
	changed.CreatedAt = epoch().Add(time.Hour) // is not taken over
	update(t, db, func(tx *store.Tx) error { return tx.UpdateChannel(changed) })
	if got, err = read(wsA); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, c)

	// A number has one owner, whatever the workspace and the plus.
	other := voice.Channel{ID: chB, Workspace: wsB, Number: "+77", CreatedAt: epoch(), UpdatedAt: epoch()}
	insert := func(tx *store.Tx) error { return tx.InsertChannel(other) }
	wantCode(t, db.Update(t.Context(), insert), voice.CodeConflict)
	other.Number = ""
	update(t, db, insert)
	other.Number = "77"
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateChannel(other) }), voice.CodeConflict)

	foreign := c
	foreign.Workspace = wsB
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateChannel(foreign) }), voice.CodeNotFound)
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteChannel(wsB, chA) }), voice.CodeNotFound)
	lost := voice.Channel{ID: "x", Workspace: "nobody", CreatedAt: epoch(), UpdatedAt: epoch()}
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.InsertChannel(lost) }), voice.CodeNotFound)

	live := call(1)
	putCalls(t, db, live)
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.DeleteChannel(wsA, chA) }), voice.CodeConflict)
	live.Status = voice.CallCancelled
	putCalls(t, db, live)
	update(t, db, func(tx *store.Tx) error { return tx.DeleteChannel(wsA, chA) })
	_, err = read(wsA)
	wantCode(t, err, voice.CodeNotFound)
}

func testChannelForNumber(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	const exact, digits, nothing, all = voice.ChannelID("c0000000-0000-7000-8000-000000000001"),
		voice.ChannelID("c0000000-0000-7000-8000-000000000002"),
		voice.ChannelID("c0000000-0000-7000-8000-000000000003"),
		voice.ChannelID("c0000000-0000-7000-8000-000000000004")
	add := func(id voice.ChannelID, number string) {
		update(t, db, func(tx *store.Tx) error {
			return tx.InsertChannel(voice.Channel{ID: id, Workspace: wsA, Number: number, CreatedAt: epoch(), UpdatedAt: epoch()})
		})
	}
	find := func(user string) (voice.Channel, error) { return db.ChannelForNumber(t.Context(), user) }
	add(exact, "+351210000000")
	add(digits, "1000")
	add(nothing, "")
	for _, user := range []string{"2000", "", "+", "C0000000-0000-7000-8000-0000000000FF"} {
		_, err := find(user)
		wantCode(t, err, voice.CodeNotFound)
	}
	add(all, voice.AnyNumber)
	for user, want := range map[string]voice.ChannelID{
		"+351210000000": exact, "351210000000": exact, "1000": digits, "+1000": digits,
		string(nothing):                        nothing,
		"C0000000-0000-7000-8000-000000000003": nothing,
		string(all):                            all,
		"2000":                                 all, "": all, "+": all, "*": all,
	} {
		c, err := find(user)
		if err != nil || c.ID != want {
			t.Errorf("%q: channel %s, error %v, want channel %s", user, c.ID, err, want)
		}
	}
}

func testKeys(t *testing.T, open Opener) {
	db := opened(t, open)
	tenants(t, db)
	hash := sha256.Sum256([]byte("secret"))
	k := voice.AccessKey{
		ID: "k1", Workspace: wsA, Name: "console", Hash: hash[:], CreatedAt: epoch(),
		Policies: []voice.Policy{{Effect: voice.Deny, Actions: []voice.Action{voice.ActionAny}, Resources: []string{"/workspaces/*/**"}}},
	}
	update(t, db, func(tx *store.Tx) error { return tx.InsertKey(k) })
	find := func() (got voice.AccessKey) {
		view(t, db, func(tx *store.Tx) (err error) { got, err = tx.KeyByHash(hash[:]); return err })
		return got
	}
	wantEqual(t, find(), k)
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error {
		twin := k
		twin.ID = "k2"
		return tx.InsertKey(twin)
	}), voice.CodeConflict)
	wantCode(t, db.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.KeyByHash([]byte("other"))
		return err
	}), voice.CodeNotFound)
	revoke := func(ws voice.WorkspaceID, at time.Time) error {
		return db.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeKey(ws, "k1", at) })
	}
	wantCode(t, revoke(wsB, epoch()), voice.CodeNotFound)
	for _, later := range []time.Duration{time.Hour, 2 * time.Hour} { // the first time counts
		if err := revoke(wsA, epoch().Add(later)); err != nil {
			t.Fatal(err)
		}
	}
	k.RevokedAt = epoch().Add(time.Hour)
	wantEqual(t, find(), k)
	view(t, db, func(tx *store.Tx) error {
		all, err := tx.Keys(wsA)
		wantEqual(t, all, []voice.AccessKey{k})
		none, _ := tx.Keys(wsB)
		wantEqual(t, len(none), 0)
		return err
	})
}

func testCalls(t *testing.T, open Opener) {
	db := opened(t, open)
	at := func(s int) time.Time { return epoch().Add(time.Duration(s) * time.Second) }
	c := voice.Call{
		ID: voice.CallID(id(1, 1)), Workspace: wsA, Channel: chA, Parent: voice.CallID(id(1, 0)),
		From: "+100", To: "sip:b@192.0.2.9", Direction: voice.Outgoing, Type: voice.CallSIP,
		Status: voice.CallRinging, RingTimeout: 30 * time.Second, MaxDuration: 4 * time.Hour,
		NotificationURL: "https://example.com/hook", Tags: []string{"vip", "o'brien"}, FlowID: "f",
		Commands: []voice.CommandResult{{
			ID: "cmd", Call: voice.CallID(id(1, 1)), Flow: "f", Status: voice.CommandOngoing, Kind: voice.KindPause,
			Conditions: []voice.Condition{{Variable: "keys", Operator: "==", Value: "1"}},
		}},
		CreatedAt: at(0), UpdatedAt: at(1), RingingAt: at(1), ScheduledFor: at(9),
	}
	read := func(ws voice.WorkspaceID, ch voice.ChannelID) (got voice.Call, err error) {
		err = db.View(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.Call(ws, ch, c.ID); return err })
		return got, err
	}
	putCalls(t, db, c)
	got, err := read(wsA, chA)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, c)

	c.Status, c.Reason, c.HangupCause, c.HangupSource = voice.CallCompleted, "bye", 16, voice.HangupByCallee
	c.HangupSIPCode, c.UserAgent, c.Commands = 200, "phone/1", nil
	c.AnsweredAt, c.EndedAt, c.UpdatedAt = at(2), at(60), at(60)
	putCalls(t, db, c)
	if got, err = read(wsA, ""); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, c)

	_, err = read(wsB, chA)
	wantCode(t, err, voice.CodeNotFound)
	_, err = read(wsA, chB)
	wantCode(t, err, voice.CodeNotFound)
	foreign := c
	foreign.Workspace, foreign.Reason = wsB, "stolen"
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutCall(foreign) }), voice.CodeNotFound)

	live := []voice.Call{call(10), call(11), call(12)}
	live[0].Status, live[1].Status, live[2].Status = voice.CallOngoing, voice.CallBusy, voice.CallScheduled
	putCalls(t, db, live...)
	view(t, db, func(tx *store.Tx) error {
		open, err := tx.UnfinishedCalls()
		if err == nil {
			wantEqual(t, open, []voice.Call{live[0], live[2]})
		}
		return err
	})
}

func testRecordings(t *testing.T, open Opener) {
	db := opened(t, open)
	r := recording(1)
	r.Stereo, r.MaxLength = true, 4*time.Hour
	putRecordings(t, db, r)
	read := func(ws voice.WorkspaceID) (got voice.Recording, err error) {
		err = db.View(t.Context(), func(tx *store.Tx) (err error) { got, err = tx.Recording(ws, r.ID); return err })
		return got, err
	}
	got, err := read(wsA)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, r)
	r.Status, r.EndCause, r.Problem = voice.RecordingAvailable, voice.EndCallEnded, "none"
	r.Duration = 61*time.Second + 20833*time.Nanosecond // a sample of 48 kHz
	r.Channels = []voice.RecordingChannel{
		{Channel: 0, Party: "+100", Call: r.Call, Role: voice.RoleCaller}, {Channel: 1, Party: "200", Role: voice.RoleCallee},
	}
	r.File, r.Receipt, r.Size, r.SHA256 = "w/1.wav", "w/1.json", 5<<30, "ab12"
	r.StartedAt, r.EndedAt, r.UpdatedAt = epoch().Add(1), epoch().Add(time.Minute), epoch().Add(time.Hour)
	r.StartedAt = r.StartedAt.Truncate(time.Microsecond)
	putRecordings(t, db, r)
	if got, err = read(wsA); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, got, r)
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.RecordingByID(r.ID)
		wantEqual(t, got, r)
		_, missing := tx.RecordingByID("nobody")
		wantCode(t, missing, voice.CodeNotFound)
		return err
	})
	_, err = read(wsB)
	wantCode(t, err, voice.CodeNotFound)
	foreign := r
	foreign.Workspace = wsB
	wantCode(t, db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutRecording(foreign) }), voice.CodeNotFound)
}

func testRecordingCounts(t *testing.T, open Opener) {
	db := opened(t, open)
	want := map[voice.RecordingStatus]int{}
	n := 0
	var unfinished []voice.RecordingID
	for i, s := range voice.RecordingStatuses() {
		want[s] = i
		for range i {
			n++
			r := recording(n)
			r.Status = s
			putRecordings(t, db, r)
			if !s.Terminal() {
				unfinished = append(unfinished, r.ID)
			}
		}
	}
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.CountRecordings()
		wantEqual(t, got, want)
		if err != nil {
			return err
		}
		open, err := tx.UnfinishedRecordings()
		var ids []voice.RecordingID
		for _, r := range open {
			ids = append(ids, r.ID)
		}
		wantEqual(t, ids, unfinished)
		return err
	})
}

// testText: what a SIP peer writes must never keep a call from being stored.
func testText(t *testing.T, open Opener) {
	db := opened(t, open)
	c := call(1)
	c.UserAgent, c.Reason, c.From = "a\x00b\xffc ' ? \\ \" $1 %s", "\x00", "\xfe\x00"
	c.Tags = []string{"\x00\xff"}
	c.Commands = []voice.CommandResult{{ID: "x\x00\xff"}}
	putCalls(t, db, c)
	view(t, db, func(tx *store.Tx) error {
		got, err := tx.Call(wsA, chA, c.ID)
		wantEqual(t, got.UserAgent, "a\uFFFDb\uFFFDc ' ? \\ \" $1 %s")
		return err
	})
}
