package store

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"

	"github.com/uptrace/bun"

	"tapedeck/internal/voice"
)

// Limits of a page. The API's own limits are narrower.
const (
	defaultPage = 25
	maxPage     = 1000
)

// place is where a page ends: the next one starts with the row after it. Since
// new rows go in front, and a row never changes its place, a row is neither
// repeated nor left out while others are inserted.
type place struct {
	at int64 // created_at, microseconds
	id string
}

// token writes a place so that nobody is tempted to make one:
//
//	| list (1) | created_at (8, big endian) | id (n) | CRC-32 of it all (4) |
func (p place) token(list byte) string {
	b := make([]byte, 0, 13+len(p.id))
	b = append(b, list)
	b = binary.BigEndian.AppendUint64(b, uint64(p.at))
	b = append(b, p.id...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.RawURLEncoding.EncodeToString(b)
}

// placeOf reads the token of a list. A token that was cut, changed, or made for
// another list is an error of the asker.
func placeOf(list byte, token string) (place, error) {
	b, err := base64.RawURLEncoding.DecodeString(token)
	n := len(b) - 4
	if err != nil || n < 9 || b[0] != list || crc32.ChecksumIEEE(b[:n]) != binary.BigEndian.Uint32(b[n:]) {
		return place{}, &voice.Error{
			Code: voice.CodeInvalidParameter, Op: "store: read page token",
			Message: "pageToken is not one that this list gave: leave it out to start at the first page",
			Err:     err,
		}
	}
	return place{at: int64(binary.BigEndian.Uint64(b[1:9])), id: string(b[9:n])}, nil
}

// The lists that have tokens.
const (
	listChannels   byte = 'n'
	listCalls      byte = 'c'
	listRecordings byte = 'r'
	listRenders    byte = 'a'

	listTranscriptions byte = 't'
	listMedia          byte = 'm'
	listSubscriptions  byte = 's'
	listDeliveries     byte = 'd'
)

// row is what can be paged.
type row interface{ place() place }

// branch narrows a query. A filter for several values of an indexed column is
// one branch a value: each reads its own index in order, and the results are
// merged. One query with IN would read and sort every match.
type branch func(*bun.SelectQuery) *bun.SelectQuery

// order is what a list is read along: a table, or a join of it that is named, and
// the columns that hold the places.
type order struct{ from, at, id string }

// newest is the order of a table's own columns.
func newest() order { return order{at: "created_at", id: "id"} }

// by is the order of a table's own columns along an index that is named, for filters
// of which SQLite, which knows nothing of the values, does not find the best one.
func by(table, alias, index string) order {
	return order{from: table + " AS " + alias + " INDEXED BY " + index, at: "created_at", id: "id"}
}

// page reads one page of a list, newest first, and the token of the next page,
// empty when this is the last. columns select into R; no branches means all.
func page[R row](t *Tx, list byte, p voice.Page, over order, where branch, branches []branch) ([]R, string, error) {
	limit := p.Limit
	if limit < 1 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	var after *place
	if p.Token != "" {
		found, err := placeOf(list, p.Token)
		if err != nil {
			return nil, "", err
		}
		after = &found
	}
	if len(branches) == 0 {
		branches = []branch{func(q *bun.SelectQuery) *bun.SelectQuery { return q }}
	}
	var all []R
	for _, narrow := range branches {
		var rows []R
		q := t.db.NewSelect().Model(&rows)
		if over.from != "" {
			q = q.ModelTableExpr(over.from)
		}
		q = narrow(where(q))
		at, id := bun.Safe(over.at), bun.Safe(over.id)
		if after != nil {
			q = q.Where("(?, ?) < (?, ?)", at, id, after.at, after.id)
		}
		// One more than asked tells whether there is a next page.
		if err := q.OrderExpr("? DESC, ? DESC", at, id).Limit(int64(limit + 1)).Scan(t.ctx); err != nil {
			return nil, "", fail("read list", err)
		}
		all = append(all, rows...)
	}
	if len(branches) > 1 {
		slices.SortFunc(all, newestFirst[R])
	}
	if len(all) <= limit {
		return all, "", nil
	}
	all = all[:limit]
	return all, all[limit-1].place().token(list), nil
}

func newestFirst[R row](a, b R) int {
	pa, pb := a.place(), b.place()
	switch {
	case pa.at > pb.at:
		return -1
	case pa.at < pb.at:
		return 1
	}
	return strings.Compare(pb.id, pa.id)
}

// eachOf makes the branches for several values of a column. One value or none
// needs no branch: it is a plain condition.
func eachOf[T ~string](column string, values []T) (branch, []branch) {
	all := func(q *bun.SelectQuery) *bun.SelectQuery { return q }
	switch each := branchEach(column, values); len(each) {
	case 0:
		return all, nil
	case 1:
		return each[0], nil
	default:
		return all, each
	}
}

// branchEach makes a branch of every value, of one as well.
func branchEach[T ~string](column string, values []T) []branch {
	values = slices.Compact(slices.Sorted(slices.Values(values)))
	out := make([]branch, len(values))
	for i, v := range values {
		out[i] = func(q *bun.SelectQuery) *bun.SelectQuery {
			return q.Where("? = ?", bun.Ident(column), string(v))
		}
	}
	return out
}

// cross combines two sets of branches.
func cross(a, b []branch) []branch {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := make([]branch, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			out = append(out, func(q *bun.SelectQuery) *bun.SelectQuery { return y(x(q)) })
		}
	}
	return out
}
