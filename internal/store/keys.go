package store

import (
	"encoding/hex"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

type keyRow struct {
	bun.BaseModel `bun:"table:access_keys"`

	ID        string `bun:"id,pk"`
	Workspace string `bun:"workspace"`
	Name      string `bun:"name"`
	Hash      string `bun:"hash"`
	Policies  string `bun:"policies"`
	CreatedAt int64  `bun:"created_at"`
	RevokedAt int64  `bun:"revoked_at"`
}

func (r *keyRow) noun() (voice.AccessKey, error) {
	k := voice.AccessKey{
		ID: voice.KeyID(r.ID), Workspace: voice.WorkspaceID(r.Workspace), Name: r.Name,
		CreatedAt: timeOf(r.CreatedAt), RevokedAt: timeOf(r.RevokedAt),
	}
	var err error
	if k.Hash, err = hex.DecodeString(r.Hash); err != nil {
		return k, fail("read key "+r.ID, err)
	}
	return k, fail("read key "+r.ID, decode(r.Policies, &k.Policies))
}

// InsertKey adds an access key.
func (t *Tx) InsertKey(k voice.AccessKey) error {
	policies, err := encode(k.Policies)
	if err != nil {
		return fail("write key", err)
	}
	return t.insert(&keyRow{
		ID: string(k.ID), Workspace: string(k.Workspace), Name: text(k.Name),
		Hash: hex.EncodeToString(k.Hash), Policies: policies,
		CreatedAt: micros(k.CreatedAt), RevokedAt: micros(k.RevokedAt),
	}, "key", "A key with this id or secret exists already")
}

// KeyByHash returns the key with this SHA-256 of the secret, also a revoked one.
func (t *Tx) KeyByHash(hash []byte) (voice.AccessKey, error) {
	var r keyRow
	if err := t.db.NewSelect().Model(&r).Where("hash = ?", hex.EncodeToString(hash)).Scan(t.ctx); err != nil {
		return voice.AccessKey{}, missing("key", err)
	}
	return r.noun()
}

// Keys returns the keys of a workspace, revoked ones too, newest first.
func (t *Tx) Keys(ws voice.WorkspaceID) ([]voice.AccessKey, error) {
	var rows []keyRow
	err := t.db.NewSelect().Model(&rows).Where("workspace = ?", string(ws)).
		OrderExpr("created_at DESC, id DESC").Scan(t.ctx)
	if err != nil {
		return nil, fail("read keys", err)
	}
	out := make([]voice.AccessKey, len(rows))
	for i := range rows {
		if out[i], err = rows[i].noun(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// RevokeKey ends a key. A key that was revoked before keeps its time.
func (t *Tx) RevokeKey(ws voice.WorkspaceID, id voice.KeyID, at time.Time) error {
	res, err := t.db.NewUpdate().Model((*keyRow)(nil)).
		Set("revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END", micros(at)).
		Where("id = ? AND workspace = ?", string(id), string(ws)).Exec(t.ctx)
	return changed("key", res, err)
}
