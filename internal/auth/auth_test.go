package auth

import (
	"encoding/base64"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

const ws voice.WorkspaceID = "0193b5a0-0000-7000-8000-00000000000a"

// clock is a clock that a test turns.
type clock struct {
	mu sync.Mutex
	at time.Duration
}

func (c *clock) now() time.Duration { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) turn(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at += d }

func open(t testing.TB, path string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// setUp makes a workspace with a key.
func setUp(t testing.TB) (db *store.DB, path string, key voice.AccessKey, secret string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), store.FileName)
	db = open(t, path)
	err := db.Update(t.Context(), func(tx *store.Tx) (err error) {
		if err := tx.InsertWorkspace(voice.Workspace{ID: ws, CreatedAt: time.Now(), UpdatedAt: time.Now()}); err != nil {
			return err
		}
		key, secret, err = CreateKey(tx, ws, "test", AllRights(ws), time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, path, key, secret
}

func TestAuthenticate(t *testing.T) {
	db, _, key, secret := setUp(t)
	a, err := New(Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"AccessKey " + secret, "accesskey   " + secret, " ACCESSKEY " + secret + " \t"} {
		who, err := a.Authenticate(t.Context(), header)
		if err != nil || who.Key != key.ID || who.Workspace != ws {
			t.Errorf("%q: %+v, %v", header, who, err)
		}
		if !who.May(voice.ActionDelete, "/workspaces/"+string(ws)+"/recordings/x") || who.May(voice.ActionView, "/workspaces/other/recordings") {
			t.Errorf("all rights in the own workspace and none elsewhere: %+v", who)
		}
	}
	for _, header := range []string{
		"", "AccessKey", "AccessKey ", secret, "Bearer " + secret, "AccessKey" + secret, "AccessKey " + NewSecret(),
		"AccessKey " + secret + " x", "AccessKey " + secret + "\x00", "AccessKey '" + secret + "'", "AccessKey " + secret + ",",
		"AccessKey ====", "AccessKey " + strings.Repeat("a", 10_000), "AccessKey\t" + secret, "AccessKey " + secret[:42],
		"AccessKey " + string(HashSecret(secret)), "AccessKey " + strings.ToUpper(secret),
	} {
		who, err := a.Authenticate(t.Context(), header)
		if voice.CodeOf(err) != voice.CodeUnauthorized || who.Key != "" {
			t.Errorf("%q: %+v, %v", header, who, err)
		}
		if err != nil && len(secret) > 0 && strings.Contains(err.Error(), secret) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("an authenticator without a database")
	}
}

// TestRevoked: within a second of its revocation, also by another process, a
// key is refused.
func TestRevoked(t *testing.T) {
	db, path, key, secret := setUp(t)
	c := &clock{}
	a, err := New(Options{DB: db, Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := a.Authenticate(t.Context(), "AccessKey "+secret)
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	other := open(t, path)
	if err := other.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeKey(ws, key.ID, time.Now()) }); err != nil {
		t.Fatal(err)
	}
	c.turn(fresh - 1)
	if err := ask(); err != nil {
		t.Errorf("the cache is of no use: %v", err)
	}
	c.turn(1)
	if err := ask(); voice.CodeOf(err) != voice.CodeUnauthorized {
		t.Errorf("%v after its revocation: %v", fresh, err)
	}
	if fresh >= time.Second {
		t.Error("a revoked key lives too long")
	}
}

// TestDatabaseGone: what is not known is not "unauthorized".
func TestDatabaseGone(t *testing.T) {
	db, _, _, secret := setUp(t)
	a, err := New(Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), "AccessKey "+secret); err == nil || voice.CodeOf(err) == voice.CodeUnauthorized {
		t.Errorf("got %v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	db, _, _, secret := setUp(t)
	a, err := New(Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxCached {
		a.remember([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}, sighting{})
	}
	if _, err := a.Authenticate(t.Context(), "AccessKey "+secret); err != nil {
		t.Fatal(err)
	}
	if len(a.known) > maxCached {
		t.Errorf("%d keys cached", len(a.known))
	}
}

func TestConcurrent(t *testing.T) {
	db, _, _, secret := setUp(t)
	a, err := New(Options{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if _, err := a.Authenticate(t.Context(), "AccessKey "+secret); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestSecret(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := NewSecret()
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(b) != 32 || len(s) != 43 || seen[s] {
			t.Fatalf("%q: %d bytes, %v", s, len(b), err)
		}
		seen[s] = true
	}
	// SHA-256 of "abc" (FIPS 180-4, example B.1).
	if got := base64.StdEncoding.EncodeToString(HashSecret("abc")); got != "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=" {
		t.Errorf("got %s", got)
	}
}

func TestCreateKey(t *testing.T) {
	db, _, key, secret := setUp(t)
	if string(key.Hash) != string(HashSecret(secret)) || strings.Contains(string(key.Hash), secret) {
		t.Error("what is kept of the secret")
	}
	create := func(ws voice.WorkspaceID, p ...voice.Policy) error {
		return db.Update(t.Context(), func(tx *store.Tx) error {
			_, _, err := CreateKey(tx, ws, "x", p, time.Now())
			return err
		})
	}
	if err := create("nobody"); voice.CodeOf(err) != voice.CodeNotFound {
		t.Errorf("unknown workspace: %v", err)
	}
	bad := voice.Policy{Effect: "perhaps", Actions: []voice.Action{"read"}, Resources: []string{
		"", "workspaces/x", "/workspaces", "/workspaces//x", "/workspaces/**/calls", "/workspaces/a*/x", "/other/*",
	}}
	err := create(ws, bad, voice.Policy{Effect: voice.Deny})
	var told *voice.Error
	if !errors.As(err, &told) || told.Code != voice.CodeValidationFailed {
		t.Fatalf("got %v", err)
	}
	for member, faults := range map[string]int{
		"policies.0.effect": 1, "policies.0.actions": 1, "policies.0.resources": len(bad.Resources),
		"policies.1.actions": 1, "policies.1.resources": 1,
	} {
		if len(told.Details[member]) != faults {
			t.Errorf("%s: %q", member, told.Details[member])
		}
	}
	good := voice.Policy{Effect: voice.Allow, Actions: []voice.Action{voice.ActionView, voice.ActionCreate}, Resources: []string{
		"/workspaces/*", "/workspaces/**", "/workspaces/" + string(ws) + "/channels/*/calls/**", "/workspaces/*/recordings",
	}}
	if err := create(ws, good, AllRights(ws)[0]); err != nil {
		t.Error(err)
	}
}

// FuzzParse: what is taken for a key is a token68, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"AccessKey abc", "accesskey  a-._~+/b==", "AccessKey a=b", "Basic x", "AccessKey \u00e4", "AccessKey a b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		secret, ok := parse(header)
		if !ok && secret != "" {
			t.Error("refused, but returned")
		}
		if ok && (secret == "" || len(secret) > maxSecret || strings.ContainsAny(secret, " \t\r\n\x00\"',;") || !strings.Contains(header, secret)) {
			t.Errorf("%q gave %q", header, secret)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	db, _, _, secret := setUp(b)
	a, err := New(Options{DB: db})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), "AccessKey "+secret); err != nil {
			b.Fatal(err)
		}
	}
}
