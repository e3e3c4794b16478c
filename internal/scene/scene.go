package scene

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Scene is a file that was read.
type Scene struct {
	File  string
	Title string // the comment that it begins with
	Steps []Step
}

// Step is one line.
type Step struct {
	Line int // from 1
	Text string
	Form
	Args []string  // what stands where the form has capitals, without quotes
	Flow []Command // below it
}

// List is the step's last argument, taken apart at its commas.
func (s Step) List() []string {
	var out []string
	for one := range strings.SplitSeq(s.Args[len(s.Args)-1], ",") {
		out = append(out, strings.TrimSpace(one))
	}
	return out
}

// Command is one step of a call flow, in the shape of the API.
type Command struct {
	Name       string          `json:"command"`
	Options    json.RawMessage `json:"options,omitempty"`
	Conditions []Condition     `json:"conditions,omitempty"`
}

// Condition is what must hold for a command to run.
type Condition struct {
	Variable string `json:"variable"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// Error is what is wrong with a file, and where.
type Error struct {
	File string
	Line int
	Err  error
}

// Error says it as compilers do.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap is what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Parse reads a scene. Every error is an *Error, or several that are joined.
func Parse(file, text string) (*Scene, error) {
	s := &Scene{File: file}
	if !utf8.ValidString(text) {
		return nil, &Error{file, 1, errors.New("it is not UTF-8")}
	}
	lines := strings.Split(text, "\n")
	var errs []error
	for at := 0; at < len(lines); {
		end := at + 1
		line := strings.TrimSpace(lines[at])
		if line == "" || line[0] == '#' {
			if title := strings.TrimSpace(strings.TrimPrefix(line, "#")); s.Title == "" && len(s.Steps) == 0 {
				s.Title = title
			}
			at = end
			continue
		}
		for end < len(lines) && (indented(lines[end]) || strings.TrimSpace(lines[end]) == "") {
			end++
		}
		step, err := s.step(lines[at:end], at+1)
		if err != nil {
			errs = append(errs, err)
		} else {
			s.Steps = append(s.Steps, step)
		}
		at = end
	}
	if len(errs) == 0 {
		errs = s.check()
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

func indented(line string) bool { return strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") }

// step reads a line and what is indented below it.
func (s *Scene) step(lines []string, number int) (Step, error) {
	step := Step{Line: number, Text: strings.TrimSpace(lines[0])}
	if indented(lines[0]) {
		return step, &Error{s.File, number, errors.New("it is indented, and there is no line above it that it belongs to")}
	}
	var err error
	if step.Form, step.Args, err = find(lines[0]); err != nil {
		return step, &Error{s.File, number, err}
	}
	b := block{text: strings.Join(lines[1:], "\n"), line: number + 1}
	if step.Flow, err = b.commands(); err != nil {
		return step, &Error{s.File, b.line, err}
	}
	if len(step.Flow) > 0 && !step.Form.Flow {
		return step, &Error{s.File, number + 1, fmt.Errorf("there is no call flow below %q", step.Form.Text)}
	}
	return step, nil
}

// check finds what is wrong with the scene as a whole.
func (s *Scene) check() (errs []error) {
	fault := func(line int, format string, args ...any) {
		errs = append(errs, &Error{s.File, line, fmt.Errorf(format, args...)})
	}
	if s.Title == "" {
		fault(1, "it does not begin with a comment that says what it is about")
	}
	if len(s.Steps) == 0 {
		fault(1, "nothing happens")
	}
	var names []string
	for _, step := range s.Steps {
		switch step.Form.Text {
		case "channel NAME", "the file NAME says TEXT":
			if slices.Contains(names, step.Args[0]) {
				fault(step.Line, "there are two things with the name %s", step.Args[0])
			}
			names = append(names, step.Args[0])
		case "PARTY calls NAME":
			if !slices.Contains(names, step.Args[1]) {
				fault(step.Line, "nothing above has the name %s", step.Args[1])
			}
		}
		if slices.Contains(strings.Fields(step.Form.Text), "LIST") && slices.Contains(step.List(), "") {
			fault(step.Line, "between two commas there is nothing")
		}
	}
	return errs
}

// Parties lists the parties that are named in a line, or as {A} in a call flow.
func (s *Scene) Parties() []string {
	var out []string
	for _, step := range s.Steps {
		at := 0
		for word := range strings.FieldsSeq(step.Form.Text) {
			word = strings.TrimSuffix(word, ",")
			if _, free := wordOf(word); free {
				if word == "PARTY" {
					out = append(out, step.Args[at])
				}
				at++
			}
		}
		for _, c := range step.Flow {
			for rest := string(c.Options); len(rest) > 2; rest = rest[1:] {
				if rest[0] == '{' && rest[2] == '}' && rest[1] >= 'A' && rest[1] <= 'Z' {
					out = append(out, rest[1:2])
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
