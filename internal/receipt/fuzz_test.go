package receipt

import (
	"bytes"
	"testing"
)

// FuzzParse: whatever the bytes are, parsing them ends without a crash; what
// parses is written in one way only, and what verifies was signed by the key in
// it, so that signing its document again gives the same bytes.
func FuzzParse(f *testing.F) {
	signed, err := Sign([]byte(document), key(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte(document))
	f.Add([]byte("{\n  \"signature\": {}\n}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(encode(s.Document, s.Key, s.value), data) {
			t.Fatalf("%q parses, but is written as %q", data, encode(s.Document, s.Key, s.value))
		}
		if s.VerifyBy(public(key(1))) != nil {
			return
		}
		again, err := Sign(s.Document, key(1))
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%q verifies, but signed again it is %q, %v", data, again, err)
		}
	})
}

// FuzzParsePublicKey: what is taken as a key is written and read again as the
// same key.
func FuzzParsePublicKey(f *testing.F) {
	f.Add([]byte(public(key(1)).PEM()))
	f.Add([]byte(public(key(1)).Base64()))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ParsePublicKey(text)
		if err != nil {
			return
		}
		for _, written := range []string{k.PEM(), k.Base64()} {
			if again, err := ParsePublicKey([]byte(written)); err != nil || !bytes.Equal(again, k) {
				t.Fatalf("%q is read as %x, and %q as %x, %v", text, k, written, again, err)
			}
		}
	})
}
