package sip

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // RFC 3261 §22.4 digests are MD5 unless the peer can do better
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"time"
)

// realm is what our challenges name (RFC 3261 §22.1).
const realm = "tapedeck"

// Algorithms of RFC 8760, in the order that we prefer them.
const (
	algorithmSHA256 = "SHA-256"
	algorithmMD5    = "MD5"
)

var errChallenge = errors.New("sip: no digest challenge that can be answered")

// authParams reads the parameters of a Digest challenge or of credentials. ok is false
// when the scheme is another one.
func authParams(v string) (map[string]string, bool) {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(v), " ")
	if !strings.EqualFold(scheme, "Digest") {
		return nil, false
	}
	out := make(map[string]string)
	for _, p := range splitQuoted(rest, ',') {
		k, v, found := strings.Cut(p, "=")
		if !found {
			continue
		}
		k = strings.ToLower(strings.TrimSpace(k))
		if _, twice := out[k]; !twice {
			out[k] = unquote(strings.TrimSpace(v))
		}
	}
	return out, true
}

func hashOf(algorithm string) (func() hash.Hash, bool) {
	switch strings.ToUpper(algorithm) {
	case "", algorithmMD5:
		return md5.New, true
	case algorithmSHA256:
		return sha256.New, true
	}
	return nil, false
}

// credentials is one computed answer (RFC 7616 §3.4.1).
type credentials struct {
	username, password, realm, nonce, method, uri, algorithm, qop, cnonce, nc string
}

func (c credentials) response() (string, bool) {
	h, ok := hashOf(c.algorithm)
	if !ok {
		return "", false
	}
	join := func(parts ...string) string {
		x := h()
		x.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(x.Sum(nil))
	}
	a1 := join(c.username, c.realm, c.password)
	a2 := join(c.method, c.uri)
	if c.qop == "" { // RFC 2069 peers
		return join(a1, c.nonce, a2), true
	}
	return join(a1, c.nonce, c.nc, c.cnonce, c.qop, a2), true
}

// authorize answers the challenges of a 401 or 407: the best algorithm that we know of
// each realm (RFC 8760 §2.4). It returns whole header lines.
func authorize(code int, challenges []string, username, password, method, uri string) (lines []string, stale bool, err error) {
	name := "Authorization"
	if code == 407 {
		name = "Proxy-Authorization"
	}
	best := make(map[string]map[string]string) // by realm
	var order []string
	for _, v := range challenges {
		p, ok := authParams(v)
		if !ok {
			continue
		}
		if _, known := hashOf(p["algorithm"]); !known || p["qop"] != "" && !hasToken(p["qop"], "auth") {
			continue
		}
		old, seen := best[p["realm"]]
		if !seen {
			order = append(order, p["realm"])
		}
		if !seen || strings.EqualFold(p["algorithm"], algorithmSHA256) && !strings.EqualFold(old["algorithm"], algorithmSHA256) {
			best[p["realm"]] = p
		}
	}
	if len(order) == 0 {
		return nil, false, fmt.Errorf("%w: %q", errChallenge, challenges)
	}
	for _, r := range order {
		p := best[r]
		stale = stale || strings.EqualFold(p["stale"], "true")
		line, err := answerChallenge(p, username, password, method, uri)
		if err != nil {
			return nil, false, err
		}
		lines = append(lines, name+": "+line)
	}
	return lines, stale, nil
}

func answerChallenge(p map[string]string, username, password, method, uri string) (string, error) {
	c := credentials{username: username, password: password, realm: p["realm"], nonce: p["nonce"], method: method, uri: uri, algorithm: p["algorithm"]}
	if hasToken(p["qop"], "auth") {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", fmt.Errorf("sip: random cnonce: %w", err)
		}
		c.qop, c.nc, c.cnonce = "auth", "00000001", hex.EncodeToString(b[:])
	}
	response, ok := c.response()
	if !ok {
		return "", errChallenge
	}
	var t strings.Builder
	t.WriteString("Digest username=" + quote(username) + ", realm=" + quote(c.realm) + ", nonce=" + quote(c.nonce) +
		", uri=" + quote(uri) + ", response=" + quote(response))
	if c.algorithm != "" {
		t.WriteString(", algorithm=" + c.algorithm)
	}
	if c.qop != "" {
		t.WriteString(", qop=auth, nc=" + c.nc + ", cnonce=" + quote(c.cnonce))
	}
	if o, ok := p["opaque"]; ok {
		t.WriteString(", opaque=" + quote(o))
	}
	return oneLine(t.String()), nil
}

func hasToken(list, token string) bool {
	for _, v := range strings.Split(list, ",") {
		if strings.EqualFold(strings.TrimSpace(v), token) {
			return true
		}
	}
	return false
}

// nonces makes and checks the nonces of our challenges. A nonce carries its time of
// birth under a MAC, so those that nobody comes back with cost no memory; of those that
// were used, the highest count is kept until they expire, so that credentials which
// were overheard cannot be used again (RFC 7616 §5.5).
type nonces struct {
	key  [32]byte
	life time.Duration
	now  func() time.Time

	mu    sync.Mutex
	used  map[string]usedNonce
	sweep time.Time
}

type usedNonce struct {
	count  uint64
	owner  string // the INVITE that used it; it may be checked again
	expiry time.Time
}

func newNonces(life time.Duration) (*nonces, error) {
	n := &nonces{life: life, now: time.Now, used: make(map[string]usedNonce)}
	if _, err := rand.Read(n.key[:]); err != nil {
		return nil, fmt.Errorf("sip: random key: %w", err)
	}
	return n, nil
}

func (n *nonces) mac(b []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(b)
	return h.Sum(nil)[:16]
}

func (n *nonces) make() string {
	var b [32]byte
	binary.BigEndian.PutUint64(b[:8], uint64(n.now().UnixNano()))
	_, _ = rand.Read(b[8:16]) // never fails (crypto/rand)
	copy(b[16:], n.mac(b[:16]))
	return hex.EncodeToString(b[:])
}

// check reports whether a nonce is ours and whether it is too old.
func (n *nonces) check(nonce string) (ours, expired bool, expiry time.Time) {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) != 32 || !hmac.Equal(b[16:], n.mac(b[:16])) {
		return false, false, time.Time{}
	}
	expiry = time.Unix(0, int64(binary.BigEndian.Uint64(b[:8]))).Add(n.life)
	return true, n.now().After(expiry), expiry
}

// spend takes a nonce and its count for one owner. False means that another used it.
func (n *nonces) spend(nonce string, count uint64, owner string, expiry time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if now.After(n.sweep) {
		for k, u := range n.used {
			if now.After(u.expiry) {
				delete(n.used, k)
			}
		}
		n.sweep = now.Add(n.life / 2)
	}
	if u, ok := n.used[nonce]; ok && (count < u.count || count == u.count && owner != u.owner) {
		return false
	}
	n.used[nonce] = usedNonce{count: count, owner: owner, expiry: expiry}
	return true
}

// challengeLines are the WWW-Authenticate headers of a 401, the better algorithm first
// (RFC 8760 §2.3).
func (n *nonces) challengeLines(stale bool) []string {
	nonce := n.make()
	tail := ""
	if stale {
		tail = ", stale=true"
	}
	var lines []string
	for _, algorithm := range []string{algorithmSHA256, algorithmMD5} {
		lines = append(lines, "WWW-Authenticate: Digest realm="+quote(realm)+", nonce="+quote(nonce)+", algorithm="+algorithm+", qop=\"auth\""+tail)
	}
	return lines
}

// verdict is what credentials are worth.
type verdict uint8

const (
	credentialsBad   verdict = iota
	credentialsStale         // right, but for a nonce that is too old or spent
	credentialsGood
)

// judge checks the Authorization headers of a request (RFC 7616 §3.4, RFC 8760).
func (n *nonces) judge(lines []string, method, owner, username, password string) verdict {
	out := credentialsBad
	for _, l := range lines {
		p, ok := authParams(l)
		if !ok || p["realm"] != realm || p["username"] != username {
			continue
		}
		if q := p["qop"]; q != "" && !strings.EqualFold(q, "auth") {
			continue
		}
		c := credentials{
			username: username, password: password, realm: realm, nonce: p["nonce"], method: method, uri: p["uri"],
			algorithm: p["algorithm"], qop: p["qop"], cnonce: p["cnonce"], nc: p["nc"],
		}
		want, ok := c.response()
		if !ok || subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(p["response"]))) != 1 {
			continue
		}
		ours, expired, expiry := n.check(p["nonce"])
		if !ours {
			continue
		}
		out = credentialsStale
		count := uint64(1)
		if c.qop != "" {
			v, err := strconv.ParseUint(c.nc, 16, 32)
			if err != nil || v == 0 {
				continue
			}
			count = v
		}
		if !expired && n.spend(p["nonce"], count, owner, expiry) {
			return credentialsGood
		}
	}
	return out
}
