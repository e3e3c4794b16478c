package main

import (
	"bytes"
	"fmt"
	"io/fs"

	"gopkg.in/yaml.v3"
)

// generate returns the generated files by their path from the root.
func generate(root fs.FS) (map[string][]byte, error) {
	text, err := fs.ReadFile(root, "api/errors.yaml")
	if err != nil {
		return nil, err
	}
	var codes []code
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&codes); err != nil {
		return nil, fmt.Errorf("read api/errors.yaml: %w", err)
	}
	if err := check(codes); err != nil {
		return nil, fmt.Errorf("api/errors.yaml: %w", err)
	}
	server, err := serverCodes(codes)
	if err != nil {
		return nil, err
	}
	client, err := clientCodes(codes)
	if err != nil {
		return nil, err
	}
	text, err = fs.ReadFile(root, "api/openapi.yaml")
	if err != nil {
		return nil, err
	}
	document, err := toJSON(text)
	if err != nil {
		return nil, fmt.Errorf("api/openapi.yaml: %w", err)
	}
	return map[string][]byte{
		"internal/voice/codes.gen.go":           server,
		"client/codes.gen.go":                   client,
		"docs/errors.md":                        page(codes),
		"internal/httpapi/openapi/openapi.json": document,
	}, nil
}
