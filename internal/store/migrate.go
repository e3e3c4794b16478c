package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"tapedeck/internal/store/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Two processes may do it at the same
// time: each migration is one transaction, so the slower process fails, and
// finds the work done when it looks again.
func migrate(ctx context.Context, raw *sqlite.Database) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, raw.Write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	const tries = 20
	for try := 1; ; try++ {
		current, target, err := p.GetVersions(ctx)
		switch {
		case err == nil && current == target:
			return nil
		case err == nil && current > target:
			return fmt.Errorf("%s has schema %d, this version of tapedeck knows schema %d at most: run the newer version", raw.Path, current, target)
		}
		if err == nil {
			_, err = p.Up(ctx)
		}
		if err != nil && try == tries {
			return err
		}
		if err != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Duration(try) * 5 * time.Millisecond):
			}
		}
	}
}
