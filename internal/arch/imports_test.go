package arch

import (
	"path"
	"slices"
	"strings"
	"testing"
)

// own turns the import path of one of our packages into its path in Table.
func own(importPath string) (string, bool) {
	rest, ok := strings.CutPrefix(importPath, module)
	return strings.TrimPrefix(rest, "internal/"), ok
}

// family reports whether one of two packages lies in the other: a package may
// import its parent, and a parent its own sub-packages.
func family(a, b string) bool {
	return strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

// rows returns Table by path, and the conformance suites and test peers below
// their subject (codec/codectest), which need no row: they are Test packages.
func rows(tr *tree) map[string]Package {
	m := map[string]Package{}
	for _, p := range Table() {
		m[p.Path] = p
	}
	for name := range tr.packages() {
		if _, ok := m[name]; !ok && strings.HasSuffix(name, "test") && strings.Contains(name, "/") {
			m[name] = Package{Path: name, Floor: Test, Imports: []string{Anything}}
		}
	}
	return m
}

func TestTableIsSound(t *testing.T) {
	known := rows(load(t))
	seen := map[string]bool{}
	for _, p := range Table() {
		if seen[p.Path] {
			t.Errorf("%s has two rows", p.Path)
		}
		seen[p.Path] = true
		for _, name := range p.Imports {
			if name == Anything {
				continue
			}
			q, ok := known[name]
			switch {
			case !ok:
				t.Errorf("%s imports %s, which has no row", p.Path, name)
			case q.Floor >= p.Floor && !family(p.Path, name):
				t.Errorf("%s (floor %d) imports %s (floor %d): imports only go down", p.Path, p.Floor, name, q.Floor)
			}
		}
	}
}

func TestEveryPackageHasARow(t *testing.T) {
	tr := load(t)
	known := rows(tr)
	there := tr.packages()
	for name := range there {
		if _, ok := known[name]; !ok {
			t.Errorf("package %s has no row in Table (internal/arch/table.go)", name)
		}
	}
	for _, p := range Table() {
		if _, ok := there[p.Path]; !ok {
			t.Errorf("Table has a row for %s, but there is no such package", p.Path)
		}
	}
}

func TestImportsFollowTheTable(t *testing.T) {
	tr := load(t)
	known := rows(tr)
	for _, s := range tr.sources {
		p, ok := known[s.pkg]
		if !ok {
			continue // said by TestEveryPackageHasARow
		}
		for _, importPath := range s.imports() {
			if name, ok := own(importPath); ok && name != s.pkg {
				if why := refused(p, known[name], s.test); why != "" {
					t.Errorf("%s imports %s: %s", s.path, name, why)
				}
			}
		}
	}
}

// TestEveryEdgeIsUsed: a permission that nobody uses is a wall with a hole.
func TestEveryEdgeIsUsed(t *testing.T) {
	used := map[string]bool{}
	for _, s := range load(t).sources {
		for _, importPath := range s.imports() {
			name, ours := own(importPath)
			if ours && s.test {
				continue // tests have permissions of their own
			}
			if lib, ok := libraryOf(importPath); ok {
				name = lib.Module
			}
			used[s.pkg+" "+name] = true
			for dir := path.Dir(s.pkg); dir != "."; dir = path.Dir(dir) {
				used[dir+" "+name] = true // a home includes its sub-packages
			}
		}
	}
	for _, p := range Table() {
		for _, name := range p.Imports {
			if name != Anything && !used[p.Path+" "+name] {
				t.Errorf("Table lets %s import %s, which it does not", p.Path, name)
			}
		}
	}
	for _, lib := range Libraries() {
		for _, home := range lib.Homes {
			if !used[home+" "+lib.Module] {
				t.Errorf("Libraries makes %s a home of %s, which it does not import", home, lib.Module)
			}
		}
	}
}

// refused returns why p may not import q, or "".
func refused(p, q Package, test bool) string {
	anything := slices.Contains(p.Imports, Anything)
	switch {
	case q.Path == "":
		return "that package has no row in Table"
	case family(p.Path, q.Path) && test:
		return ""
	case strings.HasPrefix(p.Path, q.Path+"/"):
		return "" // its own parent
	case slices.Contains(p.Imports, q.Path):
		return ""
	case q.Floor == Test && (test || p.Floor == Test):
		return ""
	case q.Floor == Test:
		return "only tests may import it"
	case q.Floor >= p.Floor && p.Floor != Test:
		return "imports only go down, and it is not on a lower floor"
	case anything || test:
		return ""
	}
	return "it is not among the imports that Table allows"
}

func TestLibrariesStayAtHome(t *testing.T) {
	tr := load(t)
	known := rows(tr)
	for _, s := range tr.sources {
		for _, importPath := range s.imports() {
			lib, ok := libraryOf(importPath)
			if !ok {
				if first, _, _ := strings.Cut(importPath, "/"); strings.Contains(first, ".") {
					t.Errorf("%s imports %s, which has no home in Libraries (internal/arch/libraries.go)", s.path, importPath)
				}
				continue
			}
			if !atHome(lib, known[s.pkg], s) {
				t.Errorf("%s imports %s, whose home is %s", s.path, importPath, homes(lib))
			}
		}
	}
}

func libraryOf(importPath string) (Library, bool) {
	for _, lib := range Libraries() {
		if importPath == lib.Module || strings.HasPrefix(importPath, lib.Module+"/") {
			return lib, true
		}
	}
	return Library{}, false
}

func atHome(lib Library, p Package, s *source) bool {
	if s.test && lib.Tests || lib.From > Words && p.Floor >= lib.From {
		return true
	}
	return slices.ContainsFunc(lib.Homes, func(home string) bool {
		return p.Path == home || strings.HasPrefix(p.Path, home+"/")
	})
}

func TestEveryRequirementHasAHome(t *testing.T) {
	tr := load(t)
	direct := map[string]bool{}
	for line := range strings.Lines(tr.read(t, "go.mod")) {
		fields := strings.Fields(line)
		if len(fields) == 2 && strings.HasPrefix(line, "\t") {
			direct[fields[0]] = true
		}
	}
	for name := range direct {
		if _, ok := libraryOf(name); !ok {
			t.Errorf("go.mod requires %s, which has no home in Libraries", name)
		}
	}
	for _, lib := range Libraries() {
		found := false
		for name := range direct {
			found = found || name == lib.Module || strings.HasPrefix(name, lib.Module+"/")
		}
		if !found {
			t.Errorf("Libraries has a home for %s, which go.mod does not require", lib.Module)
		}
	}
}

// TestFloorsKeepTheirHabits checks what the lower floors must not do at all.
func TestFloorsKeepTheirHabits(t *testing.T) {
	tr := load(t)
	known := rows(tr)
	for _, s := range tr.code() {
		p := known[s.pkg]
		if p.Floor == Test || p.Root {
			continue
		}
		for _, importPath := range s.imports() {
			if why := unbecoming(p, importPath); why != "" {
				t.Errorf("%s imports %s: %s", s.path, importPath, why)
			}
		}
	}
}

// unbecoming returns why a package of this floor does not import a package of
// the standard library, or "".
func unbecoming(p Package, importPath string) string {
	log := importPath == "log" || importPath == "log/slog"
	io := importPath == "os" || importPath == "net" || importPath == "net/http" || importPath == "database/sql"
	switch {
	case importPath == "log":
		return "logs go through log/slog"
	case log && p.Floor <= Stores:
		return "the lower floors return errors, they do not log"
	case io && p.Floor <= Formats && p.Path != "config":
		return "words and formats do no I/O: take an io.Reader or io.Writer"
	case importPath == "net/http" && p.Floor < Edges && p.Path != "callgen" && p.Path != "fetch":
		return "HTTP comes in at the edges and goes out by fetch"
	case importPath == "database/sql" && p.Path != "store" && !strings.HasPrefix(p.Path, "store/"):
		return "SQL lives in store"
	case importPath == "testing" || importPath == "testing/synctest":
		return "the program does not contain its tests"
	}
	return ""
}
