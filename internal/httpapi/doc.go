// Package httpapi is the HTTP API: it translates between HTTP and the verbs of
// control, and does nothing else.
//
//	request → id → access key → route → path ids → rights → body and query against the document → generated server → control → response
//
// The server builds an API and serves it. Everything that a request may be is
// written in api/openapi.yaml; the same document routes, checks and generates.
// A request that breaks it never reaches a handler. No business is done here,
// and no error of the inside is shown outside.
//
// It starts no goroutine; those of requests belong to http.Server.
package httpapi
