package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"time"

	"tapedeck/internal/store"
	"tapedeck/internal/voice"
)

// Options configures an Authenticator.
type Options struct {
	DB *store.DB // needed
	// Now is the process's monotonic clock; nil = time since New.
	Now func() time.Duration
}

const (
	// fresh is how long a key that was found good is taken without another look
	// at the database. A key that is revoked, by whatever process, must be
	// refused within a second.
	fresh = 500 * time.Millisecond
	// maxCached bounds the cache; beyond it, it is emptied, which costs one look
	// a key.
	maxCached = 4096
)

// Authenticator tells who asks. Its methods may be called from any goroutine.
type Authenticator struct {
	db  *store.DB
	now func() time.Duration

	mu    sync.Mutex // guards known; held for nanoseconds
	known map[[sha256.Size]byte]sighting
}

// sighting is a key as it was in the database.
type sighting struct {
	who voice.Principal
	at  time.Duration
}

// New makes an Authenticator.
func New(o Options) (*Authenticator, error) {
	if o.DB == nil {
		return nil, errors.New("auth: DB is needed")
	}
	if o.Now == nil {
		start := time.Now()
		o.Now = func() time.Duration { return time.Since(start) }
	}
	return &Authenticator{db: o.DB, now: o.Now, known: map[[sha256.Size]byte]sighting{}}, nil
}

// Authenticate reads an Authorization header and returns whose key it carries.
// A missing, malformed, unknown or revoked key is a *voice.Error with code
// unauthorized; which of these it is, it does not tell.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (voice.Principal, error) {
	secret, ok := parse(header)
	if !ok {
		return voice.Principal{}, unauthorized()
	}
	hash := [sha256.Size]byte(HashSecret(secret))
	// The time of the look counts, not that of its result: what is revoked in
	// between must not live longer.
	now := a.now()
	if who, ok := a.recall(hash, now); ok {
		return who, nil
	}
	var key voice.AccessKey
	err := a.db.View(ctx, func(t *store.Tx) (err error) {
		key, err = t.KeyByHash(hash[:])
		return err
	})
	if voice.CodeOf(err) == voice.CodeNotFound {
		return voice.Principal{}, unauthorized()
	}
	if err != nil {
		return voice.Principal{}, err
	}
	// The row was found by this hash; comparing again, in constant time, makes
	// it no matter how a database compares.
	if subtle.ConstantTimeCompare(key.Hash, hash[:]) != 1 || !key.RevokedAt.IsZero() {
		return voice.Principal{}, unauthorized()
	}
	who := voice.Principal{Key: key.ID, Workspace: key.Workspace, Policies: key.Policies}
	a.remember(hash, sighting{who: who, at: now})
	return who, nil
}

func (a *Authenticator) recall(hash [sha256.Size]byte, now time.Duration) (voice.Principal, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, known := a.known[hash]
	if !known || now-s.at >= fresh {
		return voice.Principal{}, false
	}
	return s.who, true
}

func (a *Authenticator) remember(hash [sha256.Size]byte, s sighting) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxCached {
		clear(a.known)
	}
	a.known[hash] = s
}

func unauthorized() error {
	return &voice.Error{
		Code: voice.CodeUnauthorized, Op: "authenticate",
		Message: "The access key is missing, unknown or revoked: send the header 'Authorization: AccessKey <key>'",
	}
}

// maxSecret bounds what is hashed for a stranger. Ours have 43 characters.
const maxSecret = 256

// parse reads "AccessKey <key>": a scheme, which is compared without regard to
// case (RFC 9110 §11.1), one or more spaces, and a token68 (§11.2).
func parse(header string) (secret string, ok bool) {
	scheme, rest, found := strings.Cut(strings.Trim(header, " \t"), " ")
	if !found || !strings.EqualFold(scheme, "AccessKey") {
		return "", false
	}
	secret = strings.TrimLeft(rest, " ")
	body := strings.TrimRight(secret, "=")
	if body == "" || len(secret) > maxSecret {
		return "", false
	}
	for _, c := range []byte(body) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && strings.IndexByte("-._~+/", c) < 0 {
			return "", false
		}
	}
	return secret, true
}
