// Package arch holds the rules of Tapedeck's architecture as data, and checks
// them as tests: who may import whom, which library lives where, and the
// budgets of size and style that keep the tree readable.
//
// source files → parsed once → rules → one failure per broken rule
//
// The floors and the import table are in table.go, the homes of third-party
// libraries in libraries.go; docs/architecture.md and .golangci.yml repeat both
// between marks, and the tests fail when they differ. After a change of the
// tables run
//
//	go test ./internal/arch -update
//
// to write them anew. Nothing imports this package. It imports nothing of
// Tapedeck, reads files only, and starts no goroutine.
package arch
