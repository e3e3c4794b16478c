package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// databaseFlags are common to the commands that work on the database, beside a
// server that is running or without one.
type databaseFlags struct {
	Data     string `help:"Data directory (default ./data)." default:"./data" env:"TAPEDECK_DATA" placeholder:"DIR"`
	Database string `help:"Database (default: SQLite in the data directory)." env:"TAPEDECK_DATABASE" placeholder:"URL"`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// workspaceFlag names a workspace.
type workspaceFlag struct {
	Workspace string `short:"w" help:"Workspace, by id or name (default: the only one)." placeholder:"WORKSPACE"`
}

// open opens the database, which must be there.
func (f *databaseFlags) open(ctx context.Context) (*store.DB, error) {
	url := f.Database
	if url == "" {
		url = store.PathIn(f.Data)
	}
	return store.Open(ctx, store.Options{URL: url, MustExist: true, Readers: 1})
}

// update runs fn in a database transaction.
func (f *databaseFlags) update(ctx context.Context, fn func(*store.Tx) error) (err error) {
	db, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(ctx, fn)
}

// view runs fn on a snapshot of the database.
func (f *databaseFlags) view(ctx context.Context, fn func(*store.Tx) error) (err error) {
	db, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.View(ctx, fn)
}

// print writes the result: as JSON, or for a person by show.
func (f *databaseFlags) print(out io.Writer, result any, show func(io.Writer)) error {
	if f.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(result)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	show(table)
	return table.Flush()
}

// line writes one row of a table; its error comes with Flush.
func line(w io.Writer, columns ...any) {
	text := make([]string, len(columns))
	for i, c := range columns {
		if text[i] = strings.ReplaceAll(printable(fmt.Sprint(c)), "\n", " "); text[i] == "" {
			text[i] = "-"
		}
	}
	_, _ = fmt.Fprintln(w, strings.Join(text, "\t"))
}

// withFaults adds the faults of a voice.Invalid to its text, one a line.
func withFaults(err error) error {
	var told *voice.Error
	if !errors.As(err, &told) || len(told.Details) == 0 {
		return err
	}
	var faults []error
	for member, list := range told.Details {
		faults = append(faults, fmt.Errorf("%s %s", member, strings.Join(list, ", ")))
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}
