package store_test

import (
	"path/filepath"
	"testing"

	"tapedeck/internal/store"
	"tapedeck/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t testing.TB) storetest.Opener {
		path := filepath.Join(t.TempDir(), store.FileName)
		return func() (*store.DB, error) {
			return store.Open(t.Context(), store.Options{URL: "sqlite://" + path})
		}
	})
}
