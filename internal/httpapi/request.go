package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"tapedeck/internal/control"
	"tapedeck/internal/voice"
)

// request is what is known of a request beside what the generated code passes
// on. It travels in the context.
type request struct {
	id        string // X-Request-Id
	operation string // operationId; empty until it is routed
	who       voice.Principal
	once      control.Once
	http      *http.Request // as it came in
}

type requestKey struct{}

// of returns the request that a handler works for.
func of(ctx context.Context) *request { return ctx.Value(requestKey{}).(*request) }

// ServeHTTP answers one request. Every answer has a request id, every error the
// error shape, and a panic below costs this request only.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	q := &request{id: requestID(r.Header.Get(headerRequestID)), http: r}
	out := &answer{ResponseWriter: w}
	h := out.Header()
	h.Set(headerRequestID, q.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	defer func() {
		if fault := recover(); fault != nil {
			a.broke(out, q, fault)
		}
		took := time.Since(began)
		a.metrics.done(q.operation, out.code(), took)
		a.log.Debug("request", "request", q.id, "method", r.Method, "path", r.URL.Path, "status", out.code(), "took", took)
	}()
	a.serve(out, r.WithContext(context.WithValue(r.Context(), requestKey{}, q)), q)
}

// broke answers a request whose handler panicked.
func (a *API) broke(w *answer, q *request, fault any) {
	if err, ok := fault.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(fault) // net/http's own way to cut a connection
	}
	a.metrics.panics.Inc()
	a.log.Error("request broke off", "request", q.id, "operation", q.operation, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
	if w.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	a.write(w, q, internalError())
}

const headerRequestID = "X-Request-Id"

// requestID keeps the client's id when it can stand in a log and a header as it
// is, and makes one otherwise.
func requestID(given string) string {
	if len(given) == 0 || len(given) > 128 || strings.Trim(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+=") != "" {
		return uuid.NewString()
	}
	return given
}

// answer notes what was written.
type answer struct {
	http.ResponseWriter
	status int // 0 = nothing yet
}

// WriteHeader notes the status.
func (w *answer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write is a 200 when no status was written before.
func (w *answer) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *answer) code() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// onceOf reads the Idempotency-Key of a request that can be repeated. What the
// key stands for is the method, the path and the body in one spelling.
func onceOf(r *http.Request, path string, body []byte) (control.Once, error) {
	key := r.Header.Get("Idempotency-Key")
	if r.Method != http.MethodPost || key == "" {
		return control.Once{}, nil
	}
	if len(key) > 255 || strings.ContainsFunc(key, func(c rune) bool { return c < ' ' || c > '~' }) {
		return control.Once{}, &voice.Error{Code: voice.CodeInvalidParameter, Message: "The header Idempotency-Key must have 1 to 255 printable ASCII characters"}
	}
	hash := sha256.Sum256(append([]byte(r.Method+" "+path+"\n"), body...))
	return control.Once{Key: key, Hash: hash[:]}, nil
}
