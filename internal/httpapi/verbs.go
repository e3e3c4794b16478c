package httpapi

import (
	"encoding/json"
	"fmt"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

// verbs are the handlers of the generated server. Each translates a request
// into one call of control and its result into a response.
type verbs struct {
	control *control.Service
	streams *streams
	ending  <-chan struct{} // closed when the server is to end
}

var _ openapi.StrictServerInterface = (*verbs)(nil)

// recast turns a generated model into the type that the inside has for the same
// JSON. Both are written to the same document, and the value was held against
// it before.
func recast[T any](model any) (T, error) {
	var out T
	text, err := json.Marshal(model)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		return out, fmt.Errorf("read a checked request: %w", err)
	}
	return out, nil
}

// flow turns an optional call flow of the document into the inside's.
func flow[T any](steps *[]T) (*[]voice.FlowCommand, error) {
	if steps == nil {
		return nil, nil //nolint:nilnil // absent is a value here
	}
	out, err := recast[[]voice.FlowCommand](*steps)
	if out == nil {
		out = []voice.FlowCommand{}
	}
	return &out, err
}

// page reads how much of a list is asked for.
func page(limit *int, token *string, otherwise int) voice.Page {
	p := voice.Page{Limit: otherwise}
	if limit != nil {
		p.Limit = *limit
	}
	if token != nil {
		p.Token = *token
	}
	return p
}

// given returns what an optional member holds, and the zero value when it is
// absent.
func given[T any](member *T) T {
	var zero T
	if member == nil {
		return zero
	}
	return *member
}

// some returns nil for a zero value: a member without a value is left out.
func some[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// at is an optional time as the API writes it.
func at(t time.Time) *openapi.Time {
	if t.IsZero() {
		return nil
	}
	return &openapi.Time{Time: t}
}

// list turns a page of the inside into a page of the API, which is never null.
func list[In, Out any](items []In, shape func(*In) Out) []Out {
	out := make([]Out, len(items))
	for i := range items {
		out[i] = shape(&items[i])
	}
	return out
}
