package scene

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// block is the text of a call flow: commands with their options in JSON, which may
// go over several lines, and their conditions.
//
//	say     {"text": "one moment"}   if keys eq 2 and speech contains "sales"
//	hangup
type block struct {
	text string // what is left
	line int    // of the file, where it begins
}

// commands reads all of it. After an error line is where it is.
func (b *block) commands() ([]Command, error) {
	var out []Command
	for b.skip(" \t\r\n"); b.text != ""; b.skip(" \t\r\n") {
		if b.text[0] == '#' {
			b.take(b.until("\n"))
			continue
		}
		c, err := b.command()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// take removes the first n bytes and counts their lines.
func (b *block) take(n int) string {
	taken := b.text[:n]
	b.text = b.text[n:]
	b.line += strings.Count(taken, "\n")
	return taken
}

func (b *block) skip(set string) { b.take(len(b.text) - len(strings.TrimLeft(b.text, set))) }

// until is how far it is to one of these, or to the end.
func (b *block) until(set string) int {
	if i := strings.IndexAny(b.text, set); i >= 0 {
		return i
	}
	return len(b.text)
}

func (b *block) command() (c Command, err error) {
	c.Name = b.take(b.until(" \t\r\n{"))
	if c.Name == "" || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz-") != "" {
		return c, fmt.Errorf("%q is no command", c.Name)
	}
	b.skip(" \t")
	if strings.HasPrefix(b.text, "{") {
		if c.Options, err = b.options(); err != nil {
			return c, fmt.Errorf("the options of %s: %w", c.Name, err)
		}
	}
	words, err := tokens(b.text[:b.until("\n")])
	if err != nil {
		return c, err
	}
	if c.Conditions, err = conditions(words); err != nil {
		return c, err
	}
	b.take(b.until("\n"))
	return c, nil
}

// options reads an object of JSON.
func (b *block) options() (json.RawMessage, error) {
	d := json.NewDecoder(strings.NewReader(b.text))
	var object map[string]json.RawMessage
	err := d.Decode(&object)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		b.take(min(int(syntax.Offset), len(b.text)))
	}
	if err != nil {
		return nil, err
	}
	return json.RawMessage(b.take(int(d.InputOffset()))), nil
}

// conditions reads "if keys eq 2 and speech contains sales"; nothing is none.
func conditions(words []string) ([]Condition, error) {
	var out []Condition
	for i, link := range words {
		if i%4 != 0 {
			continue
		}
		if want := map[bool]string{true: "if", false: "and"}[i == 0]; link != want {
			return nil, fmt.Errorf("%q stands where only %q may", link, want)
		}
		if i+4 > len(words) {
			return nil, fmt.Errorf("a condition is a variable, an operator and a value, like: %s keys eq 2", link)
		}
		out = append(out, Condition{Variable: words[i+1], Operator: words[i+2], Value: strings.Trim(words[i+3], `"`)})
	}
	return out, nil
}
