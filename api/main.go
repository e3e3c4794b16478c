// Command api makes what the contract says twice. The contract itself is
// openapi.yaml, what the server speaks, and errors.yaml, every error code once;
// both are written by hand.
//
//	openapi.yaml → internal/httpapi/openapi (the document as JSON, models, server),
//	               client/client.gen.go (models, a method for each operation)
//	errors.yaml  → internal/voice/codes.gen.go, client/codes.gen.go, docs/errors.md
//
// It is run by "go generate" only, is no part of the program, and imports
// nothing of it. With no change in the contract it changes nothing.
package main

//go:generate go run . ..
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config oapi-codegen.yaml openapi.yaml
//go:generate go tool -modfile=../tools/go.mod oapi-codegen -config client.yaml openapi.yaml

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	root := "."
	if len(os.Args) > 1 {
		root = os.Args[1]
	}
	if err := run(root); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1) //nolint:forbidigo // a generator is a program of its own
	}
}

func run(root string) error {
	files, err := generate(os.DirFS(root))
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), text, 0o644); err != nil {
			return fmt.Errorf("write what was generated: %w", err)
		}
	}
	return nil
}
