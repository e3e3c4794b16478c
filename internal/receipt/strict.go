package receipt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// signatureMember is the name that a document itself must not use.
const signatureMember = "SIGNATURE" // as fold has it

// maxDepth is deeper than any receipt goes.
const maxDepth = 32

// strict reports whether a document can be read in one way only: UTF-8, one
// JSON object, no member named twice in one object. Names that differ in case
// alone count as the same, because there are readers to whom they are. It must
// not have a signature.
func strict(document []byte) error {
	if !utf8.Valid(document) {
		return errors.New("it is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(document))
	d.UseNumber()
	first, err := d.Token()
	if err != nil || first != json.Delim('{') {
		return errors.Join(errors.New("it is no JSON object"), err)
	}
	if err := object(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something stands behind its end")
	}
	return nil
}

// object reads the members of an object up to its end.
func object(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return fmt.Errorf("a member is named %v", t)
		}
		folded := fold(name)
		if seen[folded] {
			return fmt.Errorf("member %q is there twice", name)
		}
		seen[folded] = true
		if depth == 1 && folded == signatureMember {
			return fmt.Errorf("it has a member %q already", name)
		}
		if err := value(d, depth); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// fold makes names the same that differ in case alone, as encoding/json and
// others match them: by the whole of Unicode, where ſ is an s and the sign of
// kelvin a k.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return least
	}, name)
}

// value reads one value, with everything in it.
func value(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') && t != json.Delim('[') {
		return nil
	}
	if depth >= maxDepth {
		return fmt.Errorf("it is more than %d levels deep", maxDepth)
	}
	if t == json.Delim('{') {
		return object(d, depth+1)
	}
	for d.More() {
		if err := value(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
