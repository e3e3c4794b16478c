package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// key makes a key of a number, so that tests are the same each time.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(k ed25519.PrivateKey) PublicKey { return PublicKey(k[ed25519.SeedSize:]) }

// document is a receipt as it looks before it is signed.
const document = `{
  "version": 1,
  "recordingId": "0193b5a0-0000-7000-8000-000000000001",
  "complete": true,
  "samples": 8000,
  "parties": [],
  "tracks": [
    {
      "track": 0,
      "party": "Zoë \"signature\"",
      "lost": 0
    }
  ],
  "file": {
    "size": 16044,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
  }
}`

func sign(t testing.TB, text string, k ed25519.PrivateKey) []byte {
	t.Helper()
	signed, err := Sign([]byte(text), k)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func verify(data []byte) error {
	s, err := Parse(data)
	if err != nil {
		return err
	}
	return s.Verify()
}

func TestSignAndVerify(t *testing.T) {
	signed := sign(t, document, key(1))
	s, err := Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Document) != document+"\n" {
		t.Errorf("what was signed is not what was given:\n%s", s.Document)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	if err := s.VerifyBy(public(key(1))); err != nil {
		t.Error(err)
	}
	if err := s.VerifyBy(public(key(2))); !errors.Is(err, ErrOtherKey) {
		t.Errorf("by another key: %v", err)
	}
	if s.KeyID != public(key(1)).ID() || len(s.KeyID) != 32 {
		t.Errorf("key id %q", s.KeyID)
	}
	// It is one JSON object, whose last member is the signature.
	var read struct {
		Samples   int
		Signature struct{ Algorithm, KeyID, PublicKey, Value string }
	}
	if err := json.Unmarshal(signed, &read); err != nil {
		t.Fatal(err)
	}
	sig := read.Signature
	if read.Samples != 8000 || sig.Algorithm != "Ed25519" || sig.KeyID != s.KeyID || sig.PublicKey != s.Key.Base64() {
		t.Errorf("read %+v", read)
	}
	value, err := base64.StdEncoding.DecodeString(sig.Value)
	if err != nil || !ed25519.Verify(ed25519.PublicKey(s.Key), []byte(document+"\n"), value) {
		t.Errorf("a plain Ed25519 check of the documented bytes fails: %v", err)
	}
	// Signing is deterministic (RFC 8032 §5.1.6), so a receipt made anew is the same.
	if !bytes.Equal(signed, sign(t, document+"\n", key(1))) {
		t.Error("signed again, it is another receipt")
	}
}

// TestEveryByte changes each byte: a bit of it, and for what JSON would bear in
// its place.
func TestEveryByte(t *testing.T) {
	signed := sign(t, document, key(1))
	for i := range signed {
		was := signed[i]
		for _, now := range []byte{was ^ 1<<(i%8), " \n0A"[i%4]} {
			if now == was {
				continue
			}
			signed[i] = now
			if verify(signed) == nil {
				t.Errorf("byte %d: %q instead of %q is not noticed", i, now, was)
			}
		}
		signed[i] = was
	}
	if err := verify(signed); err != nil {
		t.Fatalf("the test itself is broken: %v", err)
	}
}

// TestCutAndExtended takes bytes away and adds bytes, everywhere.
func TestCutAndExtended(t *testing.T) {
	signed := sign(t, document, key(1))
	for i := range signed {
		if verify(signed[:i]) == nil {
			t.Errorf("cut at %d", i)
		}
		if verify(append(bytes.Clone(signed[:i]), signed[i+1:]...)) == nil {
			t.Errorf("without byte %d", i)
		}
		for _, more := range []string{" \n\t\r"[i%4 : i%4+1], []string{"0", "}", ",", `"a": 1,`}[i%4]} {
			if verify([]byte(string(signed[:i])+more+string(signed[i:]))) == nil {
				t.Errorf("%q put in at %d is not noticed", more, i)
			}
		}
	}
	for _, more := range []string{" ", "\n", "\x00", "{}", "x", string(signed)} {
		if verify([]byte(string(signed)+more)) == nil {
			t.Errorf("%q at the end is not noticed", more)
		}
	}
}

// TestForgeries are changes that somebody would think of.
func TestForgeries(t *testing.T) {
	signed := string(sign(t, document, key(1)))
	other := string(sign(t, strings.Replace(document, "8000", "8001", 1), key(1)))
	member := signed[strings.Index(signed, ",\n  \"signature\""):strings.LastIndex(signed, "\n}\n")]
	otherMember := other[strings.Index(other, ",\n  \"signature\""):strings.LastIndex(other, "\n}\n")]
	stranger := string(sign(t, document, key(2)))
	strangerMember := stranger[strings.Index(stranger, ",\n  \"signature\""):strings.LastIndex(stranger, "\n}\n")]
	for name, c := range map[string]struct {
		data string
		want error
	}{
		"empty":                        {"", ErrForm},
		"no object":                    {"[]\n", ErrForm},
		"a number":                     {"1", ErrForm},
		"unsigned":                     {document + "\n", ErrUnsigned},
		"unsigned, no line feed":       {document, ErrUnsigned},
		"signature of another receipt": {strings.Replace(signed, member, otherMember, 1), ErrSignature},
		"signature twice":              {strings.Replace(signed, member, member+member, 1), ErrForm},
		"two signatures":               {strings.Replace(signed, member, member+strangerMember, 1), ErrForm},
		"signature in capitals, too":   {strings.Replace(signed, "\n  \"version\"", "\n  \"SIGNATURE\": 1,\n  \"version\"", 1), ErrForm},
		"signature first":              {"{\n  " + strings.TrimPrefix(member, ",\n  ") + ",\n" + strings.TrimPrefix(document, "{\n") + "\n", ErrForm},
		"member after the signature":   {strings.Replace(signed, member, member+",\n  \"more\": 1", 1), ErrForm},
		"member twice":                 {strings.Replace(signed, "\"samples\": 8000", "\"samples\": 8000,\n  \"samples\": 9000", 1), ErrForm},
		"member twice, in capitals":    {strings.Replace(signed, "\"samples\": 8000", "\"samples\": 8000,\n  \"Samples\": 9000", 1), ErrForm},
		"member twice, escaped":        {strings.Replace(signed, "\"samples\": 8000", "\"samples\": 8000,\n  \"s\\u0061mples\": 9000", 1), ErrForm},
		"member twice, in long s":      {strings.Replace(signed, "\"samples\": 8000", "\"samples\": 8000,\n  \"ſamples\": 9000", 1), ErrForm},
		"inner member twice":           {strings.Replace(signed, "\"lost\": 0", "\"lost\": 0,\n      \"lost\": 1", 1), ErrForm},
		"formatted anew":               {compact(t, signed), ErrForm},
		"other line ends":              {strings.ReplaceAll(signed, "\n", "\r\n"), ErrForm},
		"byte order mark":              {"\ufeff" + signed, ErrForm},
		"not UTF-8":                    {strings.Replace(signed, "Zo", "Zo\xff", 1), ErrForm},
		"key of another":               {strings.Replace(signed, public(key(1)).Base64(), public(key(2)).Base64(), 1), ErrForm},
		"key and id of another":        {strings.NewReplacer(public(key(1)).Base64(), public(key(2)).Base64(), public(key(1)).ID(), public(key(2)).ID()).Replace(signed), ErrSignature},
		"key id in capitals":           {strings.Replace(signed, public(key(1)).ID(), strings.ToUpper(public(key(1)).ID()), 1), ErrForm},
		"another algorithm":            {strings.Replace(signed, `"Ed25519"`, `"Ed25518"`, 1), ErrForm},
		"signature without its value":  {document[:len(document)-2] + ",\n  \"signature\": {}\n}\n", ErrForm},
		"deeper than any receipt":      {"{\n  \"a\": " + strings.Repeat("[", 40) + strings.Repeat("]", 40) + member + "\n}\n", ErrForm},
		"only a signature":             {"{" + strings.TrimPrefix(member, ",") + "\n}\n", ErrForm},
	} {
		if err := verify([]byte(c.data)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	// A receipt that another signed for himself is a good one, but not by our key.
	s, err := Parse([]byte(stranger))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Verify(); err != nil {
		t.Error(err)
	}
	if err := s.VerifyBy(public(key(1))); !errors.Is(err, ErrOtherKey) {
		t.Errorf("signed by a stranger: %v", err)
	}
}

func compact(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSignRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"no object":     "[\n1\n]",
		"compact":       `{"a":1}`,
		"signed":        string(sign(t, document, key(1))),
		"long s":        "{\n  \"ſignature\": 1\n}",
		"twice":         "{\n  \"a\": 1,\n  \"A\": 2\n}",
		"broken":        "{\n  \"a\": \n}",
		"two":           "{\n}\n{\n}",
		"not UTF-8":     "{\n  \"a\": \"\xff\"\n}",
		"too deep":      "{\n  \"a\": " + strings.Repeat("{\"b\":", 40) + "1" + strings.Repeat("}", 40) + "\n}",
		"trailing part": "{\n  \"a\": 1\n}x\n}",
	} {
		if _, err := Sign([]byte(text), key(1)); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := Sign([]byte(document), nil); err == nil {
		t.Error("signed without a key")
	}
}

// TestAnyDocument: whatever a receipt holds, it is signed and verified, and no
// change of it goes unnoticed.
func TestAnyDocument(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,8}`), 1, 6, rapid.ID).Draw(t, "names")
		members := map[string]any{}
		for _, name := range names {
			if name == signatureMember {
				continue
			}
			members[name] = rapid.OneOf(
				rapid.Map(rapid.String(), func(s string) any { return s }),
				rapid.Map(rapid.Int64(), func(n int64) any { return n }),
				rapid.Map(rapid.SliceOfN(rapid.Float64Range(-1e9, 1e9), 0, 4), func(l []float64) any { return l }),
			).Draw(t, "value")
		}
		members["version"] = 1
		text, err := json.MarshalIndent(members, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		signed, err := Sign(text, key(3))
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(signed); err != nil {
			t.Fatalf("%v: %s", err, signed)
		}
		at := rapid.IntRange(0, len(signed)-1).Draw(t, "at")
		bit := rapid.IntRange(0, 7).Draw(t, "bit")
		signed[at] ^= 1 << bit
		if verify(signed) == nil {
			t.Fatalf("byte %d, bit %d: not noticed", at, bit)
		}
	})
}

func TestPublicKey(t *testing.T) {
	k := public(key(1))
	// The fingerprint is that of the documented command.
	const id, raw = "34750f98bd59fcfc946da45aaabe933b", "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
	if k.ID() != id || k.Base64() != raw {
		t.Errorf("id %s, base64 %s", k.ID(), k.Base64())
	}
	for name, text := range map[string]string{"PEM": k.PEM(), "base64": k.Base64() + "\n", "PEM with space": "\n" + k.PEM() + "\n\n", "JSON": published(t, k)} {
		if got, err := ParsePublicKey([]byte(text)); err != nil || !bytes.Equal(got, k) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, text := range map[string]string{
		"empty":        "",
		"JSON, mixed":  strings.Replace(published(t, k), k.ID(), public(key(2)).ID(), 1),
		"JSON in JSON": `{"publicKey": "{}"}`,
		"no JSON":      "{",
		"short":        k.Base64()[:40],
		"not strict":   k.Base64()[:42] + "x=",
		"no PEM":       "-----BEGIN PUBLIC KEY-----\n",
		"two":          k.PEM() + k.PEM(),
		"private":      "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"certificate":  "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
		"rubbish":      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"X25519":       "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VuAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=\n-----END PUBLIC KEY-----\n",
		"P-256":        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n-----END PUBLIC KEY-----\n",
	} {
		if got, err := ParsePublicKey([]byte(text)); err == nil {
			t.Errorf("%s: taken as %v", name, got)
		}
	}
}

func published(t *testing.T, k PublicKey) string {
	t.Helper()
	text, err := json.Marshal(k.Published())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func ExampleSign() {
	signed, err := Sign([]byte("{\n  \"samples\": 8000\n}"), key(1))
	fmt.Printf("%s%v", signed, err)
	// Output:
	// {
	//   "samples": 8000,
	//   "signature": {"algorithm": "Ed25519", "keyId": "34750f98bd59fcfc946da45aaabe933b", "publicKey": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=", "value": "TuW9VflKltwHISO28fjSpu3neAtt8kpndtO4hwp8xCyVgvN/uojevh5InI/udJqT+6JS/tcrYwYiJcgxC7AsDg=="}
	// }
	// <nil>
}
