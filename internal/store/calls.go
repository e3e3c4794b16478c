package store

import (
	"errors"
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

	Tag  string `bun:"tag,pk"`
	Call string `bun:"call,pk"`
}

func callRowOf(c *voice.Call) (*callRow, error) {
	tags, err1 := encode(c.Tags)
	commands, err2 := encode(c.Commands)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fail("write call", err)
	}
	return &callRow{
		ID: string(c.ID), Workspace: string(c.Workspace), Channel: string(c.Channel), Parent: string(c.Parent),
		From: text(c.From), FromKey: number(c.From), To: text(c.To), ToKey: number(c.To),
		Direction: string(c.Direction), Type: string(c.Type), Status: string(c.Status), Reason: text(c.Reason),
		HangupCause: c.HangupCause, HangupSource: string(c.HangupSource), HangupSIPCode: c.HangupSIPCode,
		UserAgent: text(c.UserAgent), RingTimeout: int64(c.RingTimeout), MaxDuration: int64(c.MaxDuration),
		NotificationURL: text(c.NotificationURL), Tags: tags, Flow: string(c.FlowID), Commands: commands,
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
	err := errors.Join(decode(r.Tags, &c.Tags), decode(r.Commands, &c.Commands))
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
// touched: then it is voice.NotFound.
func (t *Tx) PutCall(c voice.Call) error {
	r, err := callRowOf(&c)
	if err != nil {
		return err
	}
	res, err := t.exec(putCall, r.values()...)
	if err := changed("call", res, err); err != nil {
		return err
	}
	if len(c.Tags) == 0 {
		return nil
	}
	tags := make([]callTagRow, len(c.Tags))
	for i, tag := range c.Tags {
		tags[i] = callTagRow{Tag: text(tag), Call: r.ID}
	}
	_, err = t.db.NewInsert().Model(&tags).On("CONFLICT DO NOTHING").Exec(t.ctx)
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
	rows, next, err := page[callRow](t, listCalls, f.Page, func(q *bun.SelectQuery) *bun.SelectQuery {
		q = q.Where("workspace = ?", string(f.Workspace))
		q = created(parties(q, f.From, f.To), f.StartAt, f.EndAt)
		return narrowCalls(oneStatus(oneChannel(q)), &f)
	}, cross(channels, statuses))
	if err != nil {
		return nil, "", err
	}
	out, err := callsOf(rows)
	return out, next, err
}

func narrowCalls(q *bun.SelectQuery, f *voice.CallFilter) *bun.SelectQuery {
	if f.ID != "" {
		q = q.Where("id = ?", string(f.ID))
	}
	if len(f.Types) > 0 {
		q = q.Where("type IN (?)", bun.List(f.Types))
	}
	if len(f.Directions) > 0 {
		q = q.Where("direction IN (?)", bun.List(f.Directions))
	}
	for _, tag := range f.Tags {
		q = q.Where("id IN (SELECT call FROM call_tags WHERE tag = ?)", text(tag))
	}
	if f.Duration != nil {
		q = q.Where(`CASE WHEN answered_at = 0 THEN 0
			WHEN ended_at = 0 THEN ? - answered_at
			ELSE ended_at - answered_at END / 1000000 = ?`,
			time.Now().UnixMicro(), int64(*f.Duration/time.Second))
	}
	return q
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
