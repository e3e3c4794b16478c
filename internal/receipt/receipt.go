package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// Algorithm is the signature algorithm: pure Ed25519, RFC 8032 §5.1.
const Algorithm = "Ed25519"

// The errors of this package.
var (
	// ErrForm means that the bytes are no signed receipt.
	ErrForm = errors.New("not a signed receipt")
	// ErrUnsigned means that the bytes are a JSON object as a receipt is, but
	// have no signature.
	ErrUnsigned = errors.New("the receipt has no signature")
	// ErrSignature means that the signature is not that of these bytes: the
	// receipt was changed after it was signed.
	ErrSignature = errors.New("the signature does not fit: the receipt was changed after it was signed")
	// ErrOtherKey means that another key has signed.
	ErrOtherKey = errors.New("the receipt is signed by another key")
)

// The frame of the signature. The member stands last, on a line of its own, and
// everything in it has a fixed length, so that there is one way to write it.
const (
	end       = "\n}\n" // of every document
	frameHead = ",\n  \"signature\": {\"algorithm\": \"" + Algorithm + "\", \"keyId\": \""
	frameKey  = "\", \"publicKey\": \""
	frameSig  = "\", \"value\": \""
	frameTail = "\"}"

	keyChars   = 44 // base64 of 32 bytes
	valueChars = 88 // base64 of 64 bytes
	frameSize  = len(frameHead) + idChars + len(frameKey) + keyChars + len(frameSig) + valueChars + len(frameTail)
)

// Signed is a signed receipt. Parse makes it; that it parsed says nothing of
// its truth before Verify does.
type Signed struct {
	Document []byte // the receipt without its signature: exactly the bytes that were signed
	KeyID    string // of Key
	Key      PublicKey
	value    []byte
}

// Sign returns the document with its signature as the last member. The document
// is an indented JSON object as json.MarshalIndent writes it, without a member
// "signature". Its own bytes stay as they are, but for one line feed at the end.
func Sign(document []byte, key ed25519.PrivateKey) ([]byte, error) {
	document = append(bytes.TrimRight(document, " \t\r\n"), '\n')
	if !bytes.HasSuffix(document, []byte(end)) {
		return nil, fmt.Errorf("sign a receipt: it is no indented JSON object")
	}
	if err := strict(document); err != nil {
		return nil, fmt.Errorf("sign a receipt: %w", err)
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("sign a receipt: the key is no Ed25519 private key")
	}
	public := PublicKey(key[ed25519.PrivateKeySize-ed25519.PublicKeySize:]) // RFC 8032 §5.1.5, as Go keeps it
	return encode(document, public, ed25519.Sign(key, document)), nil
}

// encode puts the signature into the document.
func encode(document []byte, key PublicKey, value []byte) []byte {
	out := make([]byte, 0, len(document)+frameSize)
	out = append(out, document[:len(document)-len(end)]...)
	out = append(out, frameHead...)
	out = append(out, key.ID()...)
	out = append(out, frameKey...)
	out = append(out, key.Base64()...)
	out = append(out, frameSig...)
	out = base64.StdEncoding.AppendEncode(out, value)
	out = append(out, frameTail...)
	return append(out, end...)
}

// Parse reads a signed receipt. It takes the one form that Sign writes and
// nothing else: no member after the signature, no member twice, no other
// spacing of the signature, no byte behind the end.
func Parse(data []byte) (Signed, error) {
	if err := check(data); err != nil {
		return Signed{}, err
	}
	split := len(data) - len(end) - frameSize
	if split < 1 || !bytes.HasSuffix(data, []byte(end)) || !bytes.HasPrefix(data[split:], []byte(frameHead)) {
		return Signed{}, unsigned(data)
	}
	document := append(bytes.Clone(data[:split]), end...)
	if err := strict(document); err != nil {
		return Signed{}, fmt.Errorf("%w: %w", ErrForm, err)
	}
	frame := data[split+len(frameHead):]
	s := Signed{Document: document, KeyID: string(frame[:idChars])}
	frame = frame[idChars+len(frameKey):]
	key, keyErr := decode(frame[:keyChars])
	frame = frame[keyChars+len(frameSig):]
	value, valueErr := decode(frame[:valueChars])
	if err := errors.Join(keyErr, valueErr); err != nil {
		return Signed{}, fmt.Errorf("%w: its signature is damaged: %w", ErrForm, err)
	}
	s.Key, s.value = PublicKey(key), value
	if len(key) != ed25519.PublicKeySize || len(value) != ed25519.SignatureSize {
		return Signed{}, fmt.Errorf("%w: its signature is damaged: wrong length", ErrForm)
	}
	// Whatever the parts were read from, they are written in one way only.
	if !bytes.Equal(encode(document, s.Key, value), data) {
		return Signed{}, fmt.Errorf("%w: its signature is damaged: the key id %s is not that of its key, or it is spelled otherwise than we do", ErrForm, s.KeyID)
	}
	return s, nil
}

// decode takes canonical base64 only.
func decode(text []byte) ([]byte, error) {
	return base64.StdEncoding.Strict().AppendDecode(nil, text)
}

// check says what is wrong with bytes that are not even a JSON object.
func check(data []byte) error {
	switch {
	case len(data) == 0:
		return fmt.Errorf("%w: it is empty", ErrForm)
	case !json.Valid(data):
		return fmt.Errorf("%w: it is no JSON; was it cut, or something added?", ErrForm)
	case data[0] != '{':
		return fmt.Errorf("%w: it is no JSON object", ErrForm)
	}
	return nil
}

// unsigned tells a receipt without a signature from one whose signature is not
// in its place.
func unsigned(data []byte) error {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return fmt.Errorf("%w: %w", ErrForm, err)
	}
	if _, there := top["signature"]; there {
		return fmt.Errorf("%w: its signature is not the last member as it was written; was it formatted anew, or something added?", ErrForm)
	}
	return ErrUnsigned
}

// Verify reports whether the key in the receipt signed exactly its document.
// Whose key that is, it does not say: compare it with VerifyBy or by its id.
func (s Signed) Verify() error {
	if len(s.Key) != ed25519.PublicKeySize || !ed25519.Verify(ed25519.PublicKey(s.Key), s.Document, s.value) {
		return ErrSignature
	}
	return nil
}

// VerifyBy is Verify by a key that is known from elsewhere.
func (s Signed) VerifyBy(key PublicKey) error {
	if !bytes.Equal(s.Key, key) {
		return fmt.Errorf("%w: %s, not %s", ErrOtherKey, s.Key.ID(), key.ID())
	}
	return s.Verify()
}
