package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Error is a refusal: an answer of the server that is no success.
type Error struct {
	Status  int
	Code    Code   // empty when the answer is not one of Tapedeck's, but of a proxy, say
	Message string // for people
	// Details are the faults of a request by member.
	Details map[string][]string

	RequestID  string        // names the request in the server's log
	RetryAfter time.Duration // how long to wait before the next try; 0 when the server does not say
	Body       []byte        // as it came
}

// CodeOf returns the code of a refusal, or "" when err is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// maxShown is how much is shown of an answer that is not ours: enough to tell
// whose it is.
const maxShown = 200

// Error says what came, with what is wrong with each member of the request.
func (e *Error) Error() string {
	if e.Code == "" {
		body := bytes.TrimSpace(e.Body)
		if len(body) > maxShown {
			body = append(body[:maxShown:maxShown], "…"...)
		}
		return fmt.Sprintf("%s: %q", strings.TrimSpace(fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))), body)
	}
	text := fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message)
	for _, member := range slices.Sorted(maps.Keys(e.Details)) {
		for _, fault := range e.Details[member] {
			text += "; " + member + " " + fault
		}
	}
	return text
}

// maxRefusal is the most that is read of a refusal.
const maxRefusal = 64 << 10

// refusal reads an answer that is no success. What cannot be read is not there.
func refusal(resp *http.Response) *Error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	e := &Error{Status: resp.StatusCode, RequestID: resp.Header.Get("X-Request-Id"), Body: body}
	if seconds, bad := strconv.Atoi(resp.Header.Get("Retry-After")); bad == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var said ValidationError
	if err == nil && json.Unmarshal(body, &said) == nil {
		e.Code, e.Message, e.Details = Code(said.Code), said.Message, said.Details
	}
	return e
}
