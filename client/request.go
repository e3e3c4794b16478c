package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// request is a question as the generated methods put it.
type request struct {
	method string
	path   string   // with its parameters in braces
	ids    []string // the parameters, in their order
	body   any      // JSON, if not nil
	once   bool     // the server knows its Idempotency-Key
	values url.Values
}

// query adds a parameter, unless it is zero. A list is added value by value.
func (r *request) query(name string, value any) {
	v := reflect.ValueOf(value)
	switch {
	case v.IsZero():
		return
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			r.query(name, v.Index(i).Interface())
		}
		return
	case v.Kind() == reflect.Pointer:
		value = v.Elem().Interface()
	}
	if at, ok := value.(time.Time); ok {
		value = at.UTC().Format(time.RFC3339Nano)
	}
	if r.values == nil {
		r.values = url.Values{}
	}
	r.values.Add(name, fmt.Sprint(value))
}

// address puts the ids into the path. One that is empty or has other meanings in
// an address would ask for something else.
func (r *request) address(root string) (string, error) {
	var b strings.Builder
	b.WriteString(root)
	rest := r.path
	for _, id := range r.ids {
		before, after, _ := strings.Cut(rest, "{")
		name, after, _ := strings.Cut(after, "}")
		if id == "" || id == "." || id == ".." {
			return "", fmt.Errorf("%s %s: %s is %q, which is no id", r.method, r.path, name, id)
		}
		b.WriteString(before + url.PathEscape(id))
		rest = after
	}
	b.WriteString(rest)
	if len(r.values) > 0 {
		b.WriteString("?" + r.values.Encode())
	}
	return b.String(), nil
}

// answer sends a request and reads the JSON that comes.
func answer[T any](ctx context.Context, c *Client, r *request) (*T, error) {
	body, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	out := new(T)
	if err := json.Unmarshal(body, out); err != nil {
		return nil, fmt.Errorf("%s %s: the answer is no JSON of ours: %w", r.method, r.path, err)
	}
	return out, nil
}

// keyOf is the key of a context that WithIdempotencyKey made.
type keyOf struct{}

// WithIdempotencyKey makes a POST with the context carry the key, so that a
// program that was restarted can ask again and nothing is done twice. Without it
// each call of a method has a key of its own.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOf{}, key)
}

// do sends a request, again if need be, and returns the body of the answer.
func (c *Client) do(ctx context.Context, r *request) ([]byte, error) {
	to, err := r.address(c.root)
	if err != nil {
		return nil, err
	}
	var body []byte
	if r.body != nil {
		if body, err = json.Marshal(r.body); err != nil {
			return nil, fmt.Errorf("%s: %w", c.called(r.method, to), err)
		}
	}
	key := ""
	if r.once {
		if key, _ = ctx.Value(keyOf{}).(string); key == "" {
			key = rand.Text()
		}
	}
	gap, lost := c.o.Pause, false
	for attempt := 1; ; attempt++ {
		out, err := c.send(ctx, r.method, to, body, key)
		if err == nil || lost && r.method == http.MethodDelete && CodeOf(err) == CodeNotFound {
			return out, nil // gone is what was wanted; the answer before may have said so
		}
		lost = lost || CodeOf(err) == ""
		wait, again := worth(err, r.once || safe(r.method))
		if !again || attempt >= c.o.Attempts || ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", c.called(r.method, to), err)
		}
		if cut := pause(ctx, max(wait, gap)); cut != nil {
			return nil, fmt.Errorf("%s: %w; before that: %w", c.called(r.method, to), cut, err)
		}
		gap *= 2
	}
}

// safe reports whether a method does the same when it is sent twice (RFC 9110
// §9.2.2). A PATCH may begin a call flow anew.
func safe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodDelete
}

// worth reports whether to send a request again, and what the server says of
// when. Twice says that it does no harm if it was carried out already.
func worth(err error, twice bool) (time.Duration, bool) {
	var refused *Error
	var dial *net.OpError
	switch {
	case errors.As(err, &refused):
		switch refused.Status {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable: // not carried out
			return refused.RetryAfter, true
		case http.StatusBadGateway, http.StatusGatewayTimeout: // of a proxy, which cannot know
			return refused.RetryAfter, twice
		}
		return 0, false
	case errors.As(err, &dial) && dial.Op == "dial":
		return 0, true // nothing was sent
	}
	return 0, twice
}

// maxBody is the most that is read of an answer that is kept in memory.
const maxBody = 64 << 20

// send sends a request once.
func (c *Client) send(ctx context.Context, method, to string, body []byte, key string) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	c.header(r)
	r.Header.Set("Accept", "application/json, */*;q=0.5")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode >= 400 {
		return nil, refusal(resp)
	}
	answer, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if len(answer) > maxBody {
		return nil, fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	return answer, err
}
