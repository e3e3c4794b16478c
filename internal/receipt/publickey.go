package receipt

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// PublicKey is the public half of an installation's receipt key: the 32 bytes
// of RFC 8032 §5.1.5.
type PublicKey ed25519.PublicKey

// idBytes is how much of the SHA-256 is shown: 128 bits are more than anybody
// can search for a second key, and few enough to compare by eye.
const (
	idBytes = 16
	idChars = 2 * idBytes
)

// ID is the fingerprint of the key: the first 16 bytes of the SHA-256 of its 32
// bytes, in hexadecimal.
func (k PublicKey) ID() string {
	sum := sha256.Sum256(k)
	return hex.EncodeToString(sum[:idBytes])
}

// Base64 is the key's 32 bytes in base64.
func (k PublicKey) Base64() string { return base64.StdEncoding.EncodeToString(k) }

// blockType is the label of a public key, RFC 7468 §13.
const blockType = "PUBLIC KEY"

// PEM is the key as SubjectPublicKeyInfo of RFC 8410 §4, in the text form of
// RFC 7468 §13, which openssl and most libraries read.
func (k PublicKey) PEM() string {
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(k))
	if err != nil {
		panic(err) // of a type that is not known: this one is
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

// errNoKey tells what a public key may look like.
var errNoKey = errors.New("not an Ed25519 public key: it must be PEM (BEGIN PUBLIC KEY) or the base64 of its 32 bytes, as `tapedeck receipt-key` and GET /receipt-key give it")

// ParsePublicKey reads a public key: PEM, base64 of the 32 bytes, or Published as
// JSON.
func ParsePublicKey(text []byte) (PublicKey, error) {
	text = bytes.TrimSpace(text)
	if bytes.HasPrefix(text, []byte("{")) {
		return parsePublished(text)
	}
	if !bytes.HasPrefix(text, []byte("-----BEGIN ")) {
		raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
		if err != nil || len(raw) != ed25519.PublicKeySize {
			return nil, errNoKey
		}
		return PublicKey(raw), nil
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil || len(bytes.TrimSpace(rest)) > 0:
		return nil, errNoKey
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, errors.New("this is a private key, which nobody else should have: give the public one")
	case block.Type != blockType:
		return nil, fmt.Errorf("%w, not %s", errNoKey, block.Type)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKey, err)
	}
	ed, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w, not %T", errNoKey, key)
	}
	return PublicKey(ed), nil
}

// parsePublished reads a key as the server shows it. Its forms must be of one key.
func parsePublished(text []byte) (PublicKey, error) {
	var p Published
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKey, err)
	}
	if strings.HasPrefix(p.PublicKey, "{") {
		return nil, errNoKey
	}
	k, err := ParsePublicKey([]byte(p.PublicKey))
	if err != nil {
		return nil, err
	}
	if p != k.Published() {
		return nil, fmt.Errorf("%w: its members are of different keys", errNoKey)
	}
	return k, nil
}

// Published is a public key in every form that somebody may want.
type Published struct {
	Algorithm string `json:"algorithm"`
	KeyID     string `json:"keyId"`
	PublicKey string `json:"publicKey"` // base64 of the 32 bytes
	PEM       string `json:"pem"`
}

// Published shows the key in every form.
func (k PublicKey) Published() Published {
	return Published{Algorithm: Algorithm, KeyID: k.ID(), PublicKey: k.Base64(), PEM: k.PEM()}
}
