package sqlite_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	driver "modernc.org/sqlite"

	"tapedeck/internal/store/sqlite"
	"tapedeck/internal/testkit"
)

// TestCaches holds that a database that grows takes no more memory: neither the
// connection that has written all of it, nor those that have read all of it.
func TestCaches(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	d, err := sqlite.Open(t.Context(), sqlite.Options{
		Path: filepath.Join(t.TempDir(), "test.db"), Readers: 3, BusyTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	// 2000 pages in each of table and index.
	for _, query := range []string{
		"CREATE TABLE stuff (id INTEGER PRIMARY KEY, text TEXT)", "CREATE INDEX stuff_text ON stuff (text)",
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 8000) INSERT INTO stuff SELECT i, printf('%0900d', i) FROM n",
	} {
		if _, err := d.Write.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	all := []*sql.Conn{connOf(t, d.Write)}
	for range 3 { // at once: each is another connection
		c := connOf(t, d.Read)
		var n, sum int
		if err := c.QueryRowContext(t.Context(), "SELECT count(*), sum(length(text)) FROM stuff NOT INDEXED").Scan(&n, &sum); err != nil || n != 8000 || sum != 8000*900 {
			t.Fatalf("%d rows of %d bytes: %v", n, sum, err)
		}
		all = append(all, c)
	}
	used := 0
	for _, c := range all {
		used += cacheOf(t, c)
	}
	if used > 2<<20 {
		t.Errorf("the connections keep %d bytes of pages", used)
	}
}

// connOf is a connection of the pool that nobody else gets before the test ends.
func connOf(t *testing.T, db *sql.DB) *sql.Conn {
	t.Helper()
	c, err := db.Conn(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// cacheOf is how many bytes of pages the connection keeps.
func cacheOf(t *testing.T, c *sql.Conn) (used int) {
	t.Helper()
	err := c.Raw(func(raw any) (err error) {
		used, _, err = raw.(driver.DBStatus).Status(driver.DBStatusCacheUsed, false)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return used
}
