// Package openapi is the contract of the HTTP API as Go: models and a strict
// server generated from api/openapi.yaml, and the document itself as JSON.
//
//	api/openapi.yaml → openapi.gen.go, openapi.json
//
// It is called by httpapi only. By hand it has Time and the document's bytes.
package openapi
