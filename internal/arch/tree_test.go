package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"tapedeck/internal/testkit"
)

// module is the prefix of Tapedeck's own import paths.
const module = "tapedeck/"

// source is one Go file. All files are read, whatever their build constraints:
// the rules hold on every system.
type source struct {
	path      string // from the root of the module, with slashes
	pkg       string // as in Table
	test      bool
	generated bool
	text      []byte
	fset      *token.FileSet
	file      *ast.File
}

// imports returns the paths that the file imports.
func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			paths = append(paths, p)
		}
	}
	return paths
}

// line returns the line of a position.
func (s *source) line(pos token.Pos) int { return s.fset.Position(pos).Line }

// tree is the source of the module.
type tree struct {
	root    string
	sources []*source
	files   []string // every other text file, from the root, with slashes
}

// load parses the module once for all rules. It walks the files instead of
// asking the go command, so that a cached test result notices every change.
func load(t *testing.T) *tree {
	t.Helper()
	tr, err := parsed(testkit.Root(t))
	if err != nil {
		t.Fatalf("read the module: %v", err)
	}
	return tr
}

var (
	parseOnce sync.Once
	theTree   *tree
	errParse  error
)

func parsed(root string) (*tree, error) {
	parseOnce.Do(func() { theTree, errParse = parse(root) })
	return theTree, errParse
}

func parse(root string) (*tree, error) {
	tr := &tree{root: root}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if skipped(rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if rel == ".git" {
			return nil // a linked work tree has a file of that name
		}
		if rel == ".git" { // a file in a work tree of its own
			return nil
		}
		if !strings.HasSuffix(rel, ".go") {
			tr.files = append(tr.files, rel)
			return nil
		}
		s, err := parseFile(root, rel)
		if err != nil {
			return err
		}
		tr.sources = append(tr.sources, s)
		return nil
	})
	return tr, err
}

// skipped tells the directories that are not source: what .gitignore names,
// the history, and the tools' own module.
func skipped(rel string) bool {
	return slices.Contains([]string{".git", "bin", "data", "dist", "node_modules", "tools"}, rel)
}

func parseFile(root, rel string) (*source, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(rel)))
	if err != nil {
		return nil, err
	}
	s := &source{
		path: rel,
		pkg:  strings.TrimPrefix(path.Dir(rel), "internal/"),
		test: strings.HasSuffix(rel, "_test.go"),
		text: text,
		fset: token.NewFileSet(),
	}
	s.file, err = parser.ParseFile(s.fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s.generated = ast.IsGenerated(s.file)
	return s, nil
}

// code returns the files that people wrote and that are in the program.
func (tr *tree) code() []*source {
	var list []*source
	for _, s := range tr.sources {
		if !s.test && !s.generated {
			list = append(list, s)
		}
	}
	return list
}

// packages returns the packages that exist, by their path in Table.
func (tr *tree) packages() map[string][]*source {
	m := map[string][]*source{}
	for _, s := range tr.sources {
		if !s.test {
			m[s.pkg] = append(m[s.pkg], s)
		}
	}
	return m
}

// read returns a file of the repository.
func (tr *tree) read(t *testing.T, rel string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(tr.root, filepath.FromSlash(rel)))
	if err != nil {
		t.Fatalf("read %s: %v", rel, err)
	}
	return string(b)
}
