package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"tapedeck/internal/voice"
)

// maxBody is the largest body that is read (contract: 64 KiB).
const maxBody = 64 << 10

// maxDepth is how deep a body may be nested. The deepest that the document
// allows, a call flow in a bridge in a call flow of a channel, has 9 levels.
const maxDepth = 32

// readBody reads a JSON object. No body at all is an empty object. JSON is
// assumed whatever Content-Type says, because command-line clients say
// something else unless told otherwise.
func readBody(w http.ResponseWriter, r *http.Request, found faults) (map[string]any, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, &voice.Error{Code: voice.CodeBodyTooLarge, Message: "The body has more than 64 KiB"}
		}
		return nil, &voice.Error{Code: voice.CodeInvalidJSON, Message: "The body could not be read to its end", Err: err}
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return map[string]any{}, nil
	}
	if !utf8.Valid(text) {
		return nil, invalidJSON(r, "it is not UTF-8")
	}
	if !json.Valid(text) {
		return nil, invalidJSON(r, syntaxError(text))
	}
	p := parser{decoder: json.NewDecoder(bytes.NewReader(text)), found: found}
	p.decoder.UseNumber()
	value, err := p.value("", 0)
	if err != nil {
		return nil, invalidJSON(r, err.Error())
	}
	tree, ok := value.(map[string]any)
	if !ok {
		return nil, invalidJSON(r, "it is not an object")
	}
	return tree, nil
}

func invalidJSON(r *http.Request, why string) error {
	message := "The body is not a JSON object: " + why
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind != "application/json" && !strings.HasSuffix(kind, "+json") {
		message += " (Content-Type is " + kind + "; send application/json)"
	}
	return &voice.Error{Code: voice.CodeInvalidJSON, Message: message}
}

func syntaxError(text []byte) string {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return fmt.Sprintf("%s (at byte %d)", syntax, syntax.Offset)
		}
		return err.Error()
	}
	return "it cannot be read"
}

// parser makes a tree of valid JSON: objects without their null members, which
// count as absent, and whole numbers in one spelling. A member that stands
// twice is an error: readers would not agree on which one counts.
type parser struct {
	decoder *json.Decoder
	found   faults
}

func (p *parser) value(path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return p.object(path, depth)
		}
		return p.array(path, depth)
	case json.Number:
		n, why := number(t.String())
		if why != "" {
			p.found.add(path, why)
		}
		return n, nil
	}
	return token, nil
}

func (p *parser) object(path string, depth int) (any, error) {
	members := map[string]any{}
	seen := map[string]bool{}
	for p.decoder.More() {
		token, err := p.decoder.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // the text is valid JSON: a member begins with its name
		below := join(path, name)
		if seen[name] {
			return nil, fmt.Errorf("the member %s stands in it twice", printable(below))
		}
		seen[name] = true
		value, err := p.value(below, depth+1)
		if err != nil {
			return nil, err
		}
		if value != nil {
			members[name] = value
		}
	}
	_, err := p.decoder.Token()
	return members, err
}

func (p *parser) array(path string, depth int) (any, error) {
	items := []any{}
	for i := 0; p.decoder.More(); i++ {
		value, err := p.value(join(path, strconv.Itoa(i)), depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, value)
	}
	_, err := p.decoder.Token()
	return items, err
}

// longestNumber is how many characters of a number are read: enough for every
// 64-bit integer and float.
const longestNumber = 40

// largestExponent keeps the arithmetic on a number's digits short.
const largestExponent = 40

// number returns a whole number in its plainest spelling, so that 1, 1.0 and
// 1e0 are the same, and any other number as it is. A whole number beyond 64
// bits becomes the nearest one within, so that more than a limit is more than
// the limit, however much more. What is too long to be worked out is replaced
// by a harmless number, and why says what is wrong.
func number(text string) (n json.Number, why string) {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil && text != "-0" {
		return json.Number(text), ""
	}
	if len(text) > longestNumber {
		return "0", "is a number with too many digits"
	}
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		if exponent, err := strconv.Atoi(text[at+1:]); err != nil || exponent > largestExponent || exponent < -largestExponent {
			return "0", "is a number beyond what can be counted here"
		}
	}
	exact, ok := new(big.Rat).SetString(text)
	switch {
	case !ok:
		return "0", "is not a number that can be read"
	case !exact.IsInt():
		return json.Number(text), ""
	case !exact.Num().IsInt64():
		return json.Number(strconv.FormatInt(nearest(exact.Sign()), 10)), ""
	}
	return json.Number(exact.Num().String()), ""
}

// nearest is the last 64-bit number in the direction of the sign.
func nearest(sign int) int64 {
	if sign < 0 {
		return math.MinInt64
	}
	return math.MaxInt64
}

// encode writes a tree in one spelling, whatever order and spacing it came in.
func encode(tree map[string]any) ([]byte, error) { return json.Marshal(tree) }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
