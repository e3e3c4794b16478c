package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
)

// Options are what an API works with. Service, Health and ReceiptKey are needed.
type Options struct {
	Service *control.Service
	// Health answers the addresses that belong to the server itself and want no
	// access key: /healthz, /readyz, /metrics.
	Health http.Handler
	// ReceiptKey is what receipts are verified with.
	ReceiptKey ReceiptKey

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// ReceiptKey is the public half of the key that signs receipts, as it is shown to
// everybody. All members are needed.
type ReceiptKey struct {
	Algorithm string `json:"algorithm"` // "Ed25519"
	KeyID     string `json:"keyId"`
	PublicKey string `json:"publicKey"` // base64
	PEM       string `json:"pem"`
}

// API is the http.Handler of the whole API.
type API struct {
	service  *control.Service
	health   http.Handler
	log      *slog.Logger
	metrics  *metrics
	document []byte
	router   routers.Router
	verbs    http.Handler // the generated server

	receiptKey []byte // JSON

	end    sync.Once
	ending chan struct{} // closed by end: streams of events are to end
}

// New makes an API. It fails when the document that it was built with is not
// right, which only a wrong build can bring about.
func New(o Options) (*API, error) {
	if k := o.ReceiptKey; o.Service == nil || o.Health == nil || k.Algorithm == "" || k.KeyID == "" || k.PublicKey == "" || k.PEM == "" {
		return nil, errors.New("httpapi: Service, Health and ReceiptKey are needed")
	}
	key, err := json.Marshal(o.ReceiptKey)
	if err != nil {
		return nil, fmt.Errorf("httpapi: write the receipt key: %w", err)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		return nil, fmt.Errorf("httpapi: read the OpenAPI document: %w", err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("httpapi: route the OpenAPI document: %w", err)
	}
	a := &API{
		service: o.Service, health: o.Health, log: o.Logger,
		metrics: newMetrics(o.Registerer), document: openapi.Document(), router: router,
		receiptKey: key, ending: make(chan struct{}),
	}
	strict := openapi.NewStrictHandlerWithOptions(&verbs{
		control: o.Service, streams: newStreams(), ending: a.ending,
	}, nil, openapi.StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  a.refuseUnbound,
		ResponseErrorHandlerFunc: a.fail,
	})
	a.verbs = openapi.HandlerWithOptions(strict, openapi.ChiServerOptions{
		BaseRouter:       chi.NewRouter(),
		ErrorHandlerFunc: a.refuseUnbound,
	})
	return a, nil
}

// Limits of a connection. A client that is slower than these is cut off, so
// that it cannot hold a connection for ever.
const (
	headerTime = 10 * time.Second
	readTime   = 30 * time.Second // header and body, 64 KiB at most
	writeTime  = time.Minute      // of the answer; audio has it anew for every piece
	idleTime   = 2 * time.Minute
	headerSize = 32 << 10
)

// Server returns an http.Server for the API, with limits on slow clients. The
// caller serves and shuts it down.
func Server(a *API) *http.Server {
	s := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       readTime,
		WriteTimeout:      writeTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    headerSize,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelWarn),
	}
	s.RegisterOnShutdown(func() { a.end.Do(func() { close(a.ending) }) })
	return s
}
