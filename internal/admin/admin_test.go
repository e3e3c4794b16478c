package admin

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func get(t *testing.T, h http.Handler, path string) (int, health, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	var body health
	if strings.HasPrefix(w.Body.String(), "{") {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code, body, w.Body.String()
}

func TestReadiness(t *testing.T) {
	var database, room error
	draining := false
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "tapedeck_test_total", Help: "A test."}))
	h, err := New(Options{
		Check: func(context.Context) error { return database }, Draining: func() bool { return draining },
		Room: func() error { return room }, Gatherer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	bad := errors.New("secret of the inside")
	for _, test := range []struct {
		draining       bool
		database, room error
		want           []string
	}{
		{},
		{draining: true, want: []string{"server"}},
		{database: bad, want: []string{"database"}},
		{room: bad, want: []string{"recorder"}},
		{true, bad, bad, []string{"database", "recorder", "server"}},
	} {
		draining, database, room = test.draining, test.database, test.room
		code, body, text := get(t, h, "/readyz")
		if got := slices.Sorted(maps.Keys(body.Checks)); !slices.Equal(got, test.want) || strings.Contains(text, "secret") {
			t.Errorf("%+v: %s", test, text)
		}
		if ready := code == http.StatusOK && body.Status == "ok"; ready != (len(test.want) == 0) {
			t.Errorf("%+v: %d %s", test, code, text)
		}
		// The process lives all the same.
		if code, body, _ := get(t, h, "/healthz"); code != http.StatusOK || body.Status != "ok" {
			t.Errorf("healthz: %d %v", code, body)
		}
	}
	if code, _, text := get(t, h, "/metrics"); code != http.StatusOK || !strings.Contains(text, "tapedeck_test_total 0") {
		t.Errorf("metrics: %d %s", code, text)
	}
	if code, _, _ := get(t, h, "/other"); code != http.StatusNotFound {
		t.Errorf("other: %d", code)
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a Health without its parts was made")
	}
}
