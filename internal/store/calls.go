package store

import (
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type callRow struct {
	bun.BaseModel `bun:"table:calls"`

	ID              string `bun:"id,pk"`
	Workspace       string `bun:"workspace"`
	Channel         string `bun:"channel"`
	Parent          string `bun:"parent"`
	From            string `bun:"from_party"`
	FromKey         string `bun:"from_key"`
	To              string `bun:"to_party"`
	ToKey           string `bun:"to_key"`
	Direction       string `bun:"direction"`
	Type            string `bun:"type"`
	Status          string `bun:"status"`
	Reason          string `bun:"reason"`
	HangupCause     int    `bun:"hangup_cause"`
	HangupSource    string `bun:"hangup_source"`
	HangupSIPCode   int    `bun:"hangup_sip_code"`
	UserAgent       string `bun:"user_agent"`
	RingTimeout     int64  `bun:"ring_timeout"`
	MaxDuration     int64  `bun:"max_duration"`
	NotificationURL string `bun:"notification_url"`
	Tags            string `bun:"tags"`
	Flow            string `bun:"flow"`
	Commands        string `bun:"commands"`
	AMD             string `bun:"amd"`
	Request         string `bun:"request"`
	Quality         string `bun:"quality"`
	Seconds         int64  `bun:"seconds"`
	CreatedAt       int64  `bun:"created_at"`
	UpdatedAt       int64  `bun:"updated_at"`
	RingingAt       int64  `bun:"ringing_at"`
	AnsweredAt      int64  `bun:"answered_at"`
	EndedAt         int64  `bun:"ended_at"`
	ScheduledFor    int64  `bun:"scheduled_for"`
}

func (r callRow) place() place { return place{r.CreatedAt, r.ID} }

type callTagRow struct {
	bun.BaseModel `bun:"table:call_tags"`

	Tag       string `bun:"tag,pk"`
	Call      string `bun:"call,pk"`
	Workspace string `bun:"workspace"`
	At        int64  `bun:"at"` // the call's created_at
}

// seconds is how long a call was answered, as the list of calls is asked for it.
func seconds(c *voice.Call) int64 {
	switch {
	case c.AnsweredAt.IsZero():
		return 0
	case c.EndedAt.IsZero():
		return goesOn
	}
	return (micros(c.EndedAt) - micros(c.AnsweredAt)) / int64(time.Second/time.Microsecond)
}

// goesOn stands for the seconds of a call that is answered and has not ended.
const goesOn = -1

func callRowOf(c *voice.Call) (*callRow, error) {
	tags, err1 := encode(c.Tags)
	commands, err2 := encode(c.Commands)
	amd, err3 := encodeSome(c.AMD)
	request, err4 := encodeSome(c.Order)
	var quality string
	var err5 error
	if c.Quality != (voice.Quality{}) {
		quality, err5 = encode(c.Quality)
	}
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, fail("write call", err)
	}
	return &callRow{
		ID: string(c.ID), Workspace: string(c.Workspace), Channel: string(c.Channel), Parent: string(c.Parent),
		From: text(c.From), FromKey: number(c.From), To: text(c.To), ToKey: number(c.To),
		Direction: string(c.Direction), Type: string(c.Type), Status: string(c.Status), Reason: text(c.Reason),
		HangupCause: c.HangupCause, HangupSource: string(c.HangupSource), HangupSIPCode: c.HangupSIPCode,
		UserAgent: text(c.UserAgent), RingTimeout: int64(c.RingTimeout), MaxDuration: int64(c.MaxDuration),
		NotificationURL: text(c.NotificationURL), Tags: tags, Flow: string(c.FlowID), Commands: commands,
		AMD: amd, Request: request, Quality: quality, Seconds: seconds(c),
		CreatedAt: micros(c.CreatedAt), UpdatedAt: micros(c.UpdatedAt), RingingAt: micros(c.RingingAt),
		AnsweredAt: micros(c.AnsweredAt), EndedAt: micros(c.EndedAt), ScheduledFor: micros(c.ScheduledFor),
	}, nil
}

func (r *callRow) noun() (voice.Call, error) {
	c := voice.Call{
		ID: voice.CallID(r.ID), Workspace: voice.WorkspaceID(r.Workspace),
		Channel: voice.ChannelID(r.Channel), Parent: voice.CallID(r.Parent),
		From: r.From, To: r.To, Direction: voice.Direction(r.Direction), Type: voice.CallType(r.Type),
		Status: voice.CallStatus(r.Status), Reason: r.Reason,
		HangupCause: r.HangupCause, HangupSource: voice.HangupSource(r.HangupSource), HangupSIPCode: r.HangupSIPCode,
		UserAgent: r.UserAgent, RingTimeout: time.Duration(r.RingTimeout), MaxDuration: time.Duration(r.MaxDuration),
		NotificationURL: r.NotificationURL, FlowID: voice.FlowID(r.Flow),
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt), RingingAt: timeOf(r.RingingAt),
		AnsweredAt: timeOf(r.AnsweredAt), EndedAt: timeOf(r.EndedAt), ScheduledFor: timeOf(r.ScheduledFor),
	}
	err := errors.Join(decode(r.Tags, &c.Tags), decode(r.Commands, &c.Commands), decode(r.AMD, &c.AMD), decode(r.Request, &c.Order), decode(r.Quality, &c.Quality))
	return c, fail("read call "+r.ID, err)
}

func callsOf(rows []callRow) ([]voice.Call, error) {
	out := make([]voice.Call, len(rows))
	for i := range rows {
		var err error
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PutCall writes a call, new or known. What says which call it is (workspace,
// channel, parent, parties, direction, type, tags, creation time) is kept from
// the first time; all else is replaced. A call of another workspace is not
// touched: then it is voice.NotFound. A status that the call did not have before,
// and the result of its answering-machine detection, are told as events.
func (t *Tx) PutCall(c voice.Call) error {
	id := string(c.ID)
	old, known := t.passed[id]
	if !known {
		var amd string
		if err := t.look(stateOfCall, id, &old.status, &amd); err != nil {
			return fail("read status of call", err)
		}
		old.amd = amd != ""
	}
	if t.passing {
		t.pass(id, passed{status: string(c.Status), notifyURL: c.NotificationURL, amd: old.amd || c.AMD != nil})
	} else if err := t.replaceCall(&c); err != nil {
		return err
	}
	return t.tellOfCall(c, voice.CallStatus(old.status), !old.amd && c.AMD != nil)
}

func (t *Tx) replaceCall(c *voice.Call) error {
	r, err := callRowOf(c)
	if err != nil {
		return err
	}
	res, err := t.exec(putCall, r.values()...)
	if err := changed("call", res, err); err != nil {
		return err
	}
	return t.putTags(r, c.Tags)
}

func (t *Tx) putTags(call *callRow, list []string) error {
	if len(list) == 0 {
		return nil
	}
	tags := make([]callTagRow, len(list))
	for i, tag := range list {
		tags[i] = callTagRow{Tag: text(tag), Call: call.ID, Workspace: call.Workspace, At: call.CreatedAt}
	}
	_, err := t.db.NewInsert().Model(&tags).On("CONFLICT DO NOTHING").Exec(t.ctx)
	return fail("write tags of call", err)
}

// Call returns a call of a channel. An empty channel means any of the workspace.
func (t *Tx) Call(ws voice.WorkspaceID, ch voice.ChannelID, id voice.CallID) (voice.Call, error) {
	var r callRow
	q := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws))
	if ch != "" {
		q = q.Where("channel = ?", string(ch))
	}
	if err := q.Scan(t.ctx); err != nil {
		return voice.Call{}, missing("call", err)
	}
	return r.noun()
}

// Calls returns one page of calls, newest first, and the token of the next
// page, empty on the last. Numbers are compared without their leading "+". A
// call that goes on is as long as it is now.
func (t *Tx) Calls(f voice.CallFilter) ([]voice.Call, string, error) {
	oneChannel, channels := eachOf("channel", f.Channels)
	oneStatus, statuses := eachOf("status", f.Statuses)
	over := newest()
	switch {
	case len(f.Tags) > 0 || f.ID != "":
	case f.From != "" && f.To != "":
		over = by("calls", "call_row", "calls_parties")
	case f.Duration != nil && f.From == "" && f.To == "":
		over = by("calls", "call_row", "calls_seconds")
	}
	if len(f.Tags) > 0 {
		over = tagged()
		if err := t.rarestFirst(&f); err != nil {
			return nil, "", err
		}
	}
	kinds := cross(eachKind(&f))
	rows, next, err := page[callRow](t, listCalls, f.Page, over, func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("call_row.workspace = ?", string(f.Workspace))
		q = created(parties(q, f.From, f.To), f.StartAt, f.EndAt)
		return narrowCalls(oneStatus(oneChannel(q)), &f)
	}, cross(cross(cross(channels, statuses), kinds), lasting(f.Duration)))
	if err != nil {
		return nil, "", err
	}
	out, err := callsOf(rows)
	return out, next, err
}

// eachKind are the branches of a direction and a type: one index serves both, so
// that a filter for one of them is one for each value of the other.
func eachKind(f *voice.CallFilter) (directions, types []branch) {
	if len(f.Directions) == 0 && len(f.Types) == 0 {
		return nil, nil
	}
	d, k := f.Directions, f.Types
	if len(d) == 0 {
		d = []voice.Direction{voice.Incoming, voice.Outgoing}
	}
	if len(k) == 0 {
		k = []voice.CallType{voice.CallPSTN, voice.CallSIP, voice.CallWebRTC}
	}
	return branchEach("direction", d), branchEach("type", k)
}

// rarestFirst puts the tag in front that the fewest calls have: those are gone
// through. From mostTagged on it does not matter.
func (t *Tx) rarestFirst(f *voice.CallFilter) error {
	if len(f.Tags) < 2 {
		return nil
	}
	const mostTagged = 1000
	least, first := int64(mostTagged+1), 0
	for i, tag := range f.Tags {
		some := t.db.NewSelect().Model((*callTagRow)(nil)).ColumnExpr("1").
			Where("workspace = ? AND tag = ?", string(f.Workspace), text(tag)).Limit(mostTagged)
		n, err := t.db.NewSelect().TableExpr("(?) AS some", some).Count(t.ctx)
		if err != nil {
			return fail("count tags", err)
		}
		if n < least {
			least, first = n, i
		}
	}
	tags := slices.Clone(f.Tags)
	tags[0], tags[first] = tags[first], tags[0]
	f.Tags = tags
	return nil
}

// tagged goes through the calls of a tag, and not through all calls: the join is
// written so that it is not turned round.
func tagged() order {
	return order{from: "call_tags AS tag CROSS JOIN calls AS call_row", at: "tag.at", id: "tag.call"}
}

func narrowCalls(q *bun.SelectQuery, f *voice.CallFilter) *bun.SelectQuery {
	if f.ID != "" {
		q = q.Where("id = ?", string(f.ID))
	}
	for i, tag := range f.Tags {
		if i == 0 {
			q = q.Where("tag.workspace = ? AND tag.tag = ? AND call_row.id = tag.call", string(f.Workspace), text(tag))
			continue
		}
		q = q.Where("EXISTS (SELECT 1 FROM call_tags AS other WHERE other.tag = ? AND other.call = call_row.id)", text(tag))
	}
	return q
}

// lasting are the calls of a duration: those that have ended, and those that go on
// and are so long now.
func lasting(d *time.Duration) []branch {
	if d == nil {
		return nil
	}
	n := int64(*d / time.Second)
	now := time.Now()
	return []branch{
		func(q *bun.SelectQuery) *bun.SelectQuery { return q.Where("seconds = ?", n) },
		func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("seconds = ?", goesOn).
				Where("answered_at > ?", micros(now.Add(-*d-time.Second))).
				Where("answered_at <= ?", micros(now.Add(-*d)))
		},
	}
}

// parties narrows to a caller and a callee, where given.
func parties(q *bun.SelectQuery, from, to string) *bun.SelectQuery {
	if from != "" {
		q = q.Where("from_key = ?", number(from))
	}
	if to != "" {
		q = q.Where("to_key = ?", number(to))
	}
	return q
}

// created narrows to a span of creation times, both ends included.
func created(q *bun.SelectQuery, from, until time.Time) *bun.SelectQuery {
	if !from.IsZero() {
		q = q.Where("created_at >= ?", micros(from))
	}
	if !until.IsZero() {
		q = q.Where("created_at <= ?", micros(until))
	}
	return q
}

// ScheduledCalls returns the calls of all workspaces that wait for their time,
// oldest first.
func (t *Tx) ScheduledCalls() ([]voice.Call, error) {
	var rows []callRow
	// As in UnfinishedCalls, so that the index serves.
	err := t.db.NewSelect().Model(&rows).
		Where("status IN ('scheduled', 'accepted', 'starting', 'ringing', 'ongoing')").Where("status = 'scheduled'").
		OrderExpr("created_at, id").Scan(t.ctx)
	if err != nil {
		return nil, fail("read scheduled calls", err)
	}
	return callsOf(rows)
}

// UnfinishedCalls returns the calls of all workspaces that have not ended,
// oldest first. After a start these are the calls of the process before.
func (t *Tx) UnfinishedCalls() ([]voice.Call, error) {
	var rows []callRow
	// The list is written as in the index calls_unfinished, or it is not used.
	err := t.db.NewSelect().Model(&rows).
		Where("status IN ('scheduled', 'accepted', 'starting', 'ringing', 'ongoing')").
		OrderExpr("created_at, id").Scan(t.ctx)
	if err != nil {
		return nil, fail("read unfinished calls", err)
	}
	return callsOf(rows)
}
