package httpapi

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

// open makes an API whose health is the handler: enough for what needs no key.
func open(t *testing.T, log *slog.Logger, health http.HandlerFunc) *API {
	t.Helper()
	a, err := New(Options{
		Service: &control.Service{}, Health: health, Logger: log, Registerer: prometheus.NewRegistry(),
		ReceiptKey: ReceiptKey{Algorithm: "Ed25519", KeyID: "k", PublicKey: "p", PEM: "m"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestPanic: a handler that breaks off costs its own request only, tells
// nothing of the inside, and leaves the fault in the log under the request id.
func TestPanic(t *testing.T) {
	var logged strings.Builder
	a := open(t, slog.New(slog.NewTextHandler(&logged, nil)), func(http.ResponseWriter, *http.Request) { panic("secret of the inside") })
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/healthz", nil)
	r.Header.Set("X-Request-Id", "trace-7")
	a.ServeHTTP(w, r)
	var body problem
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusInternalServerError || body.Code != voice.CodeInternal || !strings.Contains(body.Message, "trace-7") || w.Header().Get("X-Request-Id") != "trace-7" {
		t.Errorf("answer: %d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), "secret") || !strings.Contains(logged.String(), "secret of the inside") || !strings.Contains(logged.String(), "trace-7") {
		t.Errorf("answer %s, log %s", w.Body, logged.String())
	}
}

// TestPanicInTheMiddle: half an answer is cut off, not ended.
func TestPanicInTheMiddle(t *testing.T) {
	a := open(t, nil, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("too late")
	})
	defer func() {
		if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("connection is not cut: %v", err)
		}
	}()
	a.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil))
}

func TestOpenAddresses(t *testing.T) {
	a := open(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if _, err := w.Write([]byte(r.URL.Path)); err != nil {
			t.Error(err)
		}
	})
	for path, want := range map[string]string{"/healthz": "/healthz", "/readyz": "/readyz", "/metrics": "/metrics", "/openapi.json": string(openapi.Document())} {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: %d %.80s", path, w.Code, w.Body)
		}
		w = httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
}

// TestSlowClients: no limit of the server is open.
func TestSlowClients(t *testing.T) {
	s := Server(open(t, nil, func(http.ResponseWriter, *http.Request) {}))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("limits: %+v", s)
	}
}

func TestNeedsItsParts(t *testing.T) {
	if _, err := New(Options{Service: &control.Service{}}); err == nil {
		t.Error("an API without Health was made")
	}
	if _, err := New(Options{Health: http.NotFoundHandler()}); err == nil {
		t.Error("an API without Service was made")
	}
}
