package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

// channelRow keeps trunk and inbound as JSON, passwords included: digest
// authentication (RFC 7616) is computed from the password itself, on the calls
// that we make and on those that we take, so a hash of it would be of no use.
// The database file has mode 0600 for that reason, and the API never shows them.
type channelRow struct {
	bun.BaseModel `bun:"table:channels"`

	ID        string `bun:"id,pk"`
	Workspace string `bun:"workspace"`
	Name      string `bun:"name"`
	Number    string `bun:"number"`
	NumberKey string `bun:"number_key"`
	Trunk     string `bun:"trunk"`
	Inbound   string `bun:"inbound"`
	Codecs    string `bun:"codecs"`
	CreatedAt int64  `bun:"created_at"`
	UpdatedAt int64  `bun:"updated_at"`
}

func (r channelRow) place() place { return place{r.CreatedAt, r.ID} }

func channelRowOf(c *voice.Channel) (*channelRow, error) {
	trunk, err1 := encode(c.Trunk)
	inbound, err2 := encode(c.Inbound)
	codecs, err3 := encode(c.Codecs)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fail("write channel", err)
	}
	return &channelRow{
		ID: string(c.ID), Workspace: string(c.Workspace), Name: text(c.Name),
		Number: text(c.Number), NumberKey: number(c.Number),
		Trunk: trunk, Inbound: inbound, Codecs: codecs,
		CreatedAt: micros(c.CreatedAt), UpdatedAt: micros(c.UpdatedAt),
	}, nil
}

func (r *channelRow) noun() (voice.Channel, error) {
	c := voice.Channel{
		ID: voice.ChannelID(r.ID), Workspace: voice.WorkspaceID(r.Workspace),
		Name: r.Name, Number: r.Number,
		CreatedAt: timeOf(r.CreatedAt), UpdatedAt: timeOf(r.UpdatedAt),
	}
	err := errors.Join(decode(r.Trunk, &c.Trunk), decode(r.Inbound, &c.Inbound), decode(r.Codecs, &c.Codecs))
	return c, fail("read channel "+r.ID, err)
}

const numberTaken = "Another channel has this number already: an incoming call names a number only, so it has one owner"

// InsertChannel adds a channel. A number that another channel of the
// installation has, with or without "+", is voice.CodeConflict; channels
// without number are not limited.
func (t *Tx) InsertChannel(c voice.Channel) error {
	r, err := channelRowOf(&c)
	if err != nil {
		return err
	}
	return t.insert(r, "channel", numberTaken)
}

// UpdateChannel replaces a channel, but for its workspace and the time it was
// made. The same number rules as for InsertChannel hold.
func (t *Tx) UpdateChannel(c voice.Channel) error {
	r, err := channelRowOf(&c)
	if err != nil {
		return err
	}
	res, err := t.db.NewUpdate().Model(r).ExcludeColumn("id", "workspace", "created_at").
		Where("id = ? AND workspace = ?", r.ID, r.Workspace).Exec(t.ctx)
	if err != nil {
		return conflict("update channel", numberTaken, err)
	}
	return changed("channel", res, nil)
}

// DeleteChannel deletes a channel. Its calls and recordings stay; calls that wait for
// their time fail. One with other calls that have not ended is voice.CodeConflict:
// nobody could reach them any more.
func (t *Tx) DeleteChannel(ws voice.WorkspaceID, id voice.ChannelID) error {
	if _, err := t.Channel(ws, id); err != nil {
		return err
	}
	live, _, err := t.Calls(voice.CallFilter{
		Workspace: ws, Channels: []voice.ChannelID{id}, Page: voice.Page{Limit: 1},
		Statuses: slices.DeleteFunc(voice.CallStatuses(), func(s voice.CallStatus) bool {
			return s.Terminal() || s == voice.CallScheduled
		}),
	})
	if err != nil {
		return err
	}
	if len(live) > 0 {
		return &voice.Error{
			Code: voice.CodeConflict, Op: "store: delete channel",
			Message: "The channel has calls that have not ended: hang them up first",
		}
	}
	if err := t.failScheduled(ws, id); err != nil {
		return err
	}
	res, err := t.db.NewDelete().Model((*channelRow)(nil)).
		Where("id = ? AND workspace = ?", string(id), string(ws)).Exec(t.ctx)
	return changed("channel", res, err)
}

// failScheduled ends the calls of a channel that wait for their time.
func (t *Tx) failScheduled(ws voice.WorkspaceID, id voice.ChannelID) error {
	f := voice.CallFilter{
		Workspace: ws, Channels: []voice.ChannelID{id}, Page: voice.Page{Limit: maxPage},
		Statuses: []voice.CallStatus{voice.CallScheduled},
	}
	for {
		waiting, next, err := t.Calls(f)
		if err != nil {
			return err
		}
		for _, c := range waiting {
			c.Status, c.HangupSource, c.Reason = voice.CallFailed, voice.HangupByNone, "its channel was deleted"
			c.UpdatedAt = time.Now().UTC()
			c.EndedAt = c.UpdatedAt
			if err := t.PutCall(c); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		f.Token = next
	}
}

// Channel returns a channel, passwords included.
func (t *Tx) Channel(ws voice.WorkspaceID, id voice.ChannelID) (voice.Channel, error) {
	var r channelRow
	err := t.db.NewSelect().Model(&r).Where("id = ? AND workspace = ?", string(id), string(ws)).Scan(t.ctx)
	if err != nil {
		return voice.Channel{}, missing("channel", err)
	}
	return r.noun()
}

// Channels returns one page of a workspace's channels, newest first, and the
// token of the next page, empty on the last.
func (t *Tx) Channels(ws voice.WorkspaceID, p voice.Page) ([]voice.Channel, string, error) {
	rows, next, err := page[channelRow](t, listChannels, p, newest(), func(q *bun.SelectQuery) *bun.SelectQuery {
		return q.Where("workspace = ?", string(ws))
	}, nil)
	if err != nil {
		return nil, "", err
	}
	out := make([]voice.Channel, len(rows))
	for i := range rows {
		if out[i], err = rows[i].noun(); err != nil {
			return nil, "", err
		}
	}
	return out, next, nil
}

// owner picks the channel that owns what is wanted.
func owner(rows []channelRow, wanted string) (voice.Channel, error) {
	var best *channelRow
	rank := func(r *channelRow) int {
		switch {
		case r == nil:
			return 0
		case r.NumberKey == wanted:
			return 3
		case r.NumberKey == voice.AnyNumber && r.ID != strings.ToLower(wanted):
			return 1
		}
		return 2
	}
	for i := range rows {
		if rank(&rows[i]) > rank(best) {
			best = &rows[i]
		}
	}
	if best == nil {
		return voice.Channel{}, voice.NotFound("channel")
	}
	return best.noun()
}

// channelsOf finds the channels that may own what an INVITE names. The empty number is
// told apart in words, as in the index channels_number, or that is not used.
const channelsOf = `SELECT * FROM channels WHERE number_key IN ('*', ?) AND number_key <> ''
UNION ALL SELECT * FROM channels WHERE id = ?`

func (db *DB) channelsOf(ctx context.Context, wanted string) (found []channelRow, err error) {
	rows, err := db.channels.QueryContext(ctx, wanted, strings.ToLower(wanted))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := db.read.ScanRows(ctx, rows, &found); err != nil {
		return nil, err
	}
	return found, rows.Err()
}

// ChannelForNumber returns the channel that owns what an INVITE names, whatever
// the workspace: the one with that number (with or without "+"), else the one
// with that id, else the one with number "*". It is one prepared statement,
// because it is asked for with every incoming call.
func (db *DB) ChannelForNumber(ctx context.Context, user string) (voice.Channel, error) {
	wanted := number(user)
	found, err := db.channelsOf(ctx, wanted)
	if err != nil && ctx.Err() != nil {
		return voice.Channel{}, fmt.Errorf("read database: %w", ctx.Err())
	}
	if err != nil {
		return voice.Channel{}, explain("read", db.raw.Path, fail("read channel", err))
	}
	return owner(found, wanted)
}
