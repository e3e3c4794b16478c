package httpapi

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"

	"tapedeck/internal/voice"
)

// serve takes a request through its checks, in the order in which they may
// tell anything: first who asks, then what there is, then what is allowed,
// then whether the request is right.
func (a *API) serve(w *answer, r *http.Request, q *request) {
	if a.serveOpen(w, r, q) {
		return
	}
	var err error
	if q.who, err = a.service.Authenticate(r.Context(), r.Header.Get("Authorization")); err != nil {
		a.fail(w, r, err)
		return
	}
	route, values, err := a.find(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	q.operation = route.Operation.OperationID
	path, err := canonicalPath(route.Path, values)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if err := a.service.Authorize(q.who, actionOf(r.Method), voice.WorkspaceID(values["workspaceId"]), path); err != nil {
		a.fail(w, r, err)
		return
	}
	checked, err := check(w, r, route)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if q.once, err = onceOf(r, path, checked.body); err != nil {
		a.fail(w, r, err)
		return
	}
	a.verbs.ServeHTTP(w, checked.request(r, route.Method, path))
}

// serveOpen answers what needs no access key.
func (a *API) serveOpen(w http.ResponseWriter, r *http.Request, q *request) bool {
	names := map[string]string{"/openapi.json": "getOpenAPI", "/healthz": "getHealth", "/readyz": "getReadiness", "/metrics": "getMetrics", "/receipt-key": "getReceiptKey"}
	name, open := names[r.URL.Path]
	if !open {
		return false
	}
	q.operation = name
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		a.fail(w, r, notAllowed(r.Method, "GET, HEAD"))
	case name == "getOpenAPI":
		w.Header().Set("Content-Type", "application/json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.document))
	case name == "getReceiptKey":
		w.Header().Set("Content-Type", "application/json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.receiptKey))
	default:
		a.health.ServeHTTP(w, r)
	}
	return true
}

// find looks the request's operation up in the document. HEAD is answered
// wherever GET is.
func (a *API) find(w http.ResponseWriter, r *http.Request) (*routers.Route, map[string]string, error) {
	route, values, err := a.match(r, r.Method)
	if errors.Is(err, routers.ErrMethodNotAllowed) && r.Method == http.MethodHead {
		route, values, err = a.match(r, http.MethodGet)
	}
	if err == nil {
		return route, values, nil
	}
	if !errors.Is(err, routers.ErrMethodNotAllowed) {
		return nil, nil, voice.NotFound("address " + printable(r.URL.Path))
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, _, err := a.match(r, method); err == nil {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	return nil, nil, notAllowed(r.Method, list)
}

func (a *API) match(r *http.Request, method string) (*routers.Route, map[string]string, error) {
	as := *r
	as.Method = method
	return a.router.FindRoute(&as)
}

func notAllowed(method, allowed string) error {
	return &voice.Error{Code: voice.CodeMethodNotAllowed, Message: "The method " + printable(method) + " is not one of this address: " + allowed}
}

// canonicalPath is the request's path with its ids in lower case, as they are
// kept and as policies name them. It puts them so into values, too.
func canonicalPath(template string, values map[string]string) (string, error) {
	path := template
	for _, name := range slices.Sorted(maps.Keys(values)) {
		id, err := voice.CanonicalID(values[name])
		if err != nil {
			return "", &voice.Error{Code: voice.CodeInvalidParameter, Message: "The path's " + name + " is not a UUID: " + err.Error()}
		}
		values[name] = id
		path = strings.Replace(path, "{"+name+"}", id, 1)
	}
	return path, nil
}

func actionOf(method string) voice.Action {
	switch method {
	case http.MethodPost:
		return voice.ActionCreate
	case http.MethodPut, http.MethodPatch:
		return voice.ActionUpdate
	case http.MethodDelete:
		return voice.ActionDelete
	}
	return voice.ActionView
}

// checked is a request that keeps to the document.
type checked struct {
	body  []byte // in one spelling; nil = the operation has none
	query url.Values
	file  *upload // the body, where it is a file; nil = it is not
}

// check holds body and query against the document. All faults come in one
// error.
func check(w http.ResponseWriter, r *http.Request, route *routers.Route) (checked, error) {
	var c checked
	found := faults{}
	var parameters openapi3.Parameters
	parameters = append(append(parameters, route.PathItem.Parameters...), route.Operation.Parameters...)
	c.query = checkQuery(parameters, r.URL.Query(), found)
	switch b := route.Operation.RequestBody; {
	case b == nil:
	case b.Value.Content["application/json"] == nil:
		c.file = newUpload(w, r)
	default:
		tree, err := readBody(w, r, found)
		if err != nil {
			return c, err
		}
		checkBody(b.Value.Content.Get("application/json").Schema.Value, tree, found)
		if c.body, err = encode(tree); err != nil {
			return c, err
		}
	}
	if len(found) > 0 {
		return c, voice.Invalid(found)
	}
	return c, nil
}

// request is r as the generated code is to see it: with the canonical path,
// body and query.
func (c *checked) request(r *http.Request, method, path string) *http.Request {
	r2 := r.Clone(r.Context())
	r2.Method = method
	r2.URL.Path, r2.URL.RawPath, r2.URL.RawQuery = path, "", c.query.Encode()
	r2.RequestURI = r2.URL.RequestURI()
	r2.Body, r2.ContentLength = http.NoBody, 0
	if c.file != nil {
		r2.Body, r2.ContentLength = c.file, r.ContentLength
	}
	if c.body != nil {
		r2.Body, r2.ContentLength = io.NopCloser(bytes.NewReader(c.body)), int64(len(c.body))
		r2.Header.Set("Content-Type", "application/json")
	}
	r2.Header.Del("Idempotency-Key") // read already, see request.once
	return r2
}
