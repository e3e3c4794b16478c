package store

import (
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type eventRow struct {
	bun.BaseModel `bun:"table:events"`

	Seq       int64  `bun:"seq,pk,autoincrement"`
	ID        string `bun:"id"`
	Workspace string `bun:"workspace"`
	Type      string `bun:"type"`
	Channel   string `bun:"channel"`
	Call      string `bun:"call"`
	Status    string `bun:"status"`
	NotifyURL string `bun:"notify_url"`
	Subject   string `bun:"subject"`
	At        int64  `bun:"at"`
}

func (r *eventRow) noun() (voice.Event, error) {
	e := voice.Event{
		Seq: r.Seq, ID: voice.EventID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Type: voice.EventType(r.Type),
		Channel: voice.ChannelID(r.Channel), Call: voice.CallID(r.Call), Status: r.Status, NotifyURL: r.NotifyURL, At: timeOf(r.At),
	}
	return e, fail("read event "+r.ID, decode(r.Subject, &e.Subject))
}

// tell writes an event down. Whoever writes a fact need not think of it:
// PutCall, PutRecording and PutTranscription tell of each change of a status in
// the transaction that makes it. States that could not be stored one by one,
// because the database took nothing for a while, are told as the last one.
func (t *Tx) tell(e voice.Event) error {
	subject, err := encode(e.Subject)
	if err != nil {
		return fail("write event", err)
	}
	t.told = true
	row := &eventRow{
		ID: NewID(), Workspace: string(e.Workspace), Type: string(e.Type), Channel: string(e.Channel), Call: string(e.Call),
		Status: e.Status, NotifyURL: text(e.NotifyURL), Subject: subject, At: micros(e.At),
	}
	_, err = t.exec(insertEvent, row.values()...)
	return fail("write event", err)
}

func (t *Tx) tellOfCall(c voice.Call, old voice.CallStatus, amd bool) error {
	c.Order = nil
	e := voice.Event{
		Workspace: c.Workspace, Type: voice.CallEvent(c.Direction), Channel: c.Channel, Call: c.ID,
		Status: string(c.Status), NotifyURL: c.NotificationURL, At: c.UpdatedAt, Subject: voice.Subject{Call: &c},
	}
	if old != c.Status {
		if err := t.tell(e); err != nil {
			return err
		}
	}
	if !amd {
		return nil
	}
	e.Type = voice.EventAMD
	return t.tell(e)
}

func (t *Tx) tellOfRecording(r voice.Recording, old voice.RecordingStatus) error {
	kind := voice.RecordingEventOf(old, r.Status, r.EndCause)
	if kind == "" {
		return nil
	}
	notify, err := t.notifyURL(r.Call)
	if err != nil {
		return err
	}
	return t.tell(voice.Event{
		Workspace: r.Workspace, Type: kind, Channel: r.Channel, Call: r.Call,
		Status: string(r.Status), NotifyURL: notify, At: r.UpdatedAt, Subject: voice.Subject{Recording: &r},
	})
}

// notifyURL is where a call wants to be told of its events; empty = nowhere.
func (t *Tx) notifyURL(id voice.CallID) (string, error) {
	if call, known := t.passed[string(id)]; known {
		return call.notifyURL, nil
	}
	var url string
	err := t.look(notifyURLOf, string(id), &url)
	return url, fail("read notification URL", err)
}

// maxEvents is how many events are read at once.
const maxEvents = 1000

// Events returns events after one that was seen, the oldest first. A filter
// without a workspace is for who delivers those of all of them.
func (t *Tx) Events(f voice.EventFilter) ([]voice.Event, error) {
	limit := f.Limit
	if limit < 1 || limit > maxEvents {
		limit = maxEvents
	}
	var rows []eventRow
	q := t.db.NewSelect().Model(&rows).Where("seq > ?", f.After)
	if f.Heads {
		q = q.ExcludeColumn("subject")
	}
	if f.Workspace != "" {
		q = q.Where("workspace = ?", string(f.Workspace))
	}
	if len(f.Types) > 0 {
		q = q.Where("type IN (?)", bun.List(f.Types))
	}
	if err := q.OrderExpr("seq").Limit(int64(limit)).Scan(t.ctx); err != nil {
		return nil, fail("read events", err)
	}
	out := make([]voice.Event, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// LastEvent is the newest event of a workspace; 0 = there is none, or none any more.
func (t *Tx) LastEvent(ws voice.WorkspaceID) (int64, error) {
	var found []int64
	err := t.db.NewSelect().Model((*eventRow)(nil)).Column("seq").Where("workspace = ?", string(ws)).
		OrderExpr("seq DESC").Limit(1).Scan(t.ctx, &found)
	if err != nil || len(found) == 0 {
		return 0, fail("read the last event", err)
	}
	return found[0], nil
}

// Event returns one event of a workspace.
func (t *Tx) Event(ws voice.WorkspaceID, id voice.EventID) (voice.Event, error) {
	var r eventRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Event{}, missing("event", err)
	}
	return r.noun()
}

type eventFloorRow struct {
	bun.BaseModel `bun:"table:event_floors"`

	Workspace string `bun:"workspace,pk"`
	Seq       int64  `bun:"seq"`
}

// DeleteEvents forgets events that are older than a time, so many at the most,
// but none that a reader has not read or that is still to be delivered. It
// returns how many it forgot.
func (t *Tx) DeleteEvents(before time.Time, limit int) (int, error) {
	var old []eventRow
	err := t.db.NewSelect().Model(&old).Column("seq", "workspace").Where("at < ?", micros(before)).
		Where("seq <= (SELECT COALESCE(MIN(seq), 9223372036854775807) FROM event_readers)").
		Where("NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event = event_row.id AND deliveries.status = 'pending')").
		OrderExpr("at").Limit(int64(limit)).Scan(t.ctx)
	if err != nil || len(old) == 0 {
		return 0, fail("look for old events", err)
	}
	floors := map[string]int64{}
	seqs := make([]int64, len(old))
	for i, r := range old {
		seqs[i] = r.Seq
		floors[r.Workspace] = max(floors[r.Workspace], r.Seq)
	}
	if _, err := t.db.NewDelete().Model((*eventRow)(nil)).Where("seq IN (?)", bun.List(seqs)).Exec(t.ctx); err != nil {
		return 0, fail("delete events", err)
	}
	for _, ws := range slices.Sorted(maps.Keys(floors)) {
		_, err := t.db.NewInsert().Model(&eventFloorRow{Workspace: ws, Seq: floors[ws]}).
			On("CONFLICT (workspace) DO UPDATE").Set("seq = MAX(event_floor_row.seq, EXCLUDED.seq)").Exec(t.ctx)
		if err != nil {
			return 0, fail("write what was forgotten", err)
		}
	}
	return len(old), nil
}

// EventsForgotten is the last event of a workspace that was forgotten; 0 = none
// was.
func (t *Tx) EventsForgotten(ws voice.WorkspaceID) (int64, error) {
	var found []int64
	err := t.db.NewSelect().Model((*eventFloorRow)(nil)).Column("seq").Where("workspace = ?", string(ws)).Scan(t.ctx, &found)
	if err != nil || len(found) == 0 {
		return 0, fail("read what was forgotten", err)
	}
	return found[0], nil
}

type eventReaderRow struct {
	bun.BaseModel `bun:"table:event_readers"`

	Name string `bun:"name,pk"`
	Seq  int64  `bun:"seq"`
}

// EventsRead is the last event that a reader has had; 0 for a new one.
func (t *Tx) EventsRead(reader string) (int64, error) {
	var found []int64
	err := t.db.NewSelect().Model((*eventReaderRow)(nil)).Column("seq").Where("name = ?", reader).Scan(t.ctx, &found)
	if err != nil || len(found) == 0 {
		return 0, fail("read place among events", err)
	}
	return found[0], nil
}

// MarkEventsRead notes how far a reader has come.
func (t *Tx) MarkEventsRead(reader string, seq int64) error {
	_, err := t.exec(markEventsRead, reader, seq)
	return fail("write place among events", err)
}
