package openapi

import (
	_ "embed" // the document is part of the program
	"slices"
)

//go:embed openapi.json
var document []byte

// Document returns the OpenAPI document, as JSON.
func Document() []byte { return slices.Clone(document) }
