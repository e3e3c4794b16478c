package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"tapedeck/internal/store/sqlite"
	"tapedeck/internal/voice"
)

// Tx is what a function given to Update, Queue or View works with. It must not
// be kept after that function returned. In View every write fails.
//
// A missing row is voice.NotFound of the noun. Times are kept to the
// microsecond and come back in UTC.
type Tx struct {
	ctx context.Context //nolint:containedctx // a Tx is one call: it lives as long as the function it is given to
	db  bun.IDB

	told bool // an event was written

	// What is put now is put again with a later state in the same savepoint: only what
	// others hear of it is written. passed is what such states were, by the id.
	passing bool
	passed  map[string]passed

	prepared statements // of the writer; nil in a View
	own      statements // those of them that this transaction has used
}

// passed is the part of a state from which events follow.
type passed struct {
	status, notifyURL string
	amd               bool
}

// pass keeps a state that is passed through.
func (t *Tx) pass(id string, p passed) {
	if t.passed == nil {
		t.passed = map[string]passed{}
	}
	t.passed[id] = p
}

// insert writes one new row. What is taken already is voice.CodeConflict with
// the message taken.
func (t *Tx) insert(row any, what, taken string) error {
	_, err := t.db.NewInsert().Model(row).Exec(t.ctx)
	return conflict("insert "+what, taken, err)
}

func conflict(op, taken string, err error) error {
	switch sqlite.Classify(err) {
	case sqlite.Duplicate:
		return &voice.Error{Code: voice.CodeConflict, Op: "store: " + op, Message: taken, Err: err}
	case sqlite.Dangling:
		return &voice.Error{
			Code: voice.CodeNotFound, Op: "store: " + op,
			Message: voice.NotFound("workspace").Message, Err: err,
		}
	}
	return fail(op, err)
}

// fail says what was tried; nil stays nil.
func fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}

// missing turns "no rows" into voice.NotFound of the noun.
func missing(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return voice.NotFound(what)
	}
	return fail("read "+what, err)
}

// changed checks that a statement touched a row.
func changed(what string, res sql.Result, err error) error {
	if err != nil {
		return fail("change "+what, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fail("change "+what, err)
	}
	if n == 0 {
		return voice.NotFound(what)
	}
	return nil
}

// micros is a time as the database keeps it: whole microseconds since 1970, so
// that times sort, compare and page exactly. 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func timeOf(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// text makes a string from outside fit for a text column: no NUL and no broken
// UTF-8, which databases refuse. A SIP header can hold either.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// number is a phone number as it is compared: without the leading plus.
func number(s string) string { return strings.TrimPrefix(text(s), "+") }

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// encodeSome is encode of what may be nil, which is the empty text.
func encodeSome[T any](v *T) (string, error) {
	if v == nil {
		return "", nil
	}
	return encode(v)
}

func decode(s string, into any) error {
	if s == "" || s == "null" {
		return nil
	}
	return json.Unmarshal([]byte(s), into)
}
