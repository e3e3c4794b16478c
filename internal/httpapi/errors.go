package httpapi

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"tapedeck/internal/voice"
)

// problem is every error body.
type problem struct {
	Code    voice.Code          `json:"code"`
	Message string              `json:"message"`
	Details map[string][]string `json:"details,omitempty"`
}

// fail answers with an error, and logs the one that is the server's own fault.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	q := of(r.Context())
	if begun, ok := w.(*answer); ok && begun.status != 0 {
		a.log.Error("answer broke off", "request", q.id, "operation", q.operation, "error", err)
		return
	}
	var shown *voice.Error
	if !errors.As(err, &shown) || shown.Code.Status() == http.StatusInternalServerError {
		if r.Context().Err() != nil {
			a.log.Debug("request given up by its client", "request", q.id, "operation", q.operation, "error", err)
		} else {
			a.log.Error("request failed", "request", q.id, "operation", q.operation, "error", err)
		}
		shown = internalError()
	} else if shown.Code == voice.CodeUnavailable {
		a.log.Warn("request refused", "request", q.id, "operation", q.operation, "error", err)
	}
	a.write(w, q, shown)
}

func internalError() *voice.Error {
	return &voice.Error{Code: voice.CodeInternal, Message: "The server met a fault of its own"}
}

// write writes an error in the error shape.
func (a *API) write(w http.ResponseWriter, q *request, e *voice.Error) {
	h := w.Header()
	switch e.Code {
	case voice.CodeUnauthorized:
		h.Set("WWW-Authenticate", "AccessKey") // RFC 9110 §11.6.1
	case voice.CodeUnavailable, voice.CodeTooManyRequests, voice.CodeNotReady:
		wait := e.RetryAfter
		if wait <= 0 {
			wait = 5 * time.Second
		}
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
	message := e.Message
	if e.Code == voice.CodeInternal {
		message += " (request " + q.id + ")"
	}
	body, err := json.Marshal(problem{Code: e.Code, Message: message, Details: e.Details})
	if err != nil {
		panic(err) // strings cannot fail to be written
	}
	h.Set("Content-Type", "application/json")
	h.Del("Content-Length")
	// What was tried may have taken all the time that there was.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		a.log.Debug("answer cannot be given more time", "request", q.id, "error", err)
	}
	w.WriteHeader(e.Code.Status())
	if _, err := w.Write(append(body, '\n')); err != nil {
		a.log.Debug("answer not taken by its client", "request", q.id, "error", err)
	}
}

// refuseUnbound answers a request that the generated code cannot read although
// it keeps to the document: a value that does not fit the machine's integers.
func (a *API) refuseUnbound(w http.ResponseWriter, r *http.Request, err error) {
	a.fail(w, r, &voice.Error{Code: voice.CodeInvalidParameter, Message: "The request holds a value that cannot be read", Err: err})
}
