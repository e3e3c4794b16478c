package arch

import (
	"bytes"
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
)

// The budgets: what no file, function or package exceeds. The aim is half of
// it: 400 lines a file, 60 a function. A function of a test is measured without
// its tables, a package without empty lines and comments, of which there should
// rather be more.
const (
	maxFileLines    = 800
	maxFuncLines    = 120
	maxPackageLines = 3000
)

func TestSizeBudgets(t *testing.T) {
	lines := map[string]int{}
	for _, s := range load(t).sources {
		if s.generated {
			continue
		}
		n := bytes.Count(s.text, []byte("\n"))
		if n > maxFileLines {
			t.Errorf("%s has %d lines, the budget is %d: does it hold more than one job?", s.path, n, maxFileLines)
		}
		if !s.test {
			lines[s.pkg] += codeLines(s)
		}
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if n := funcLines(s, fn); n > maxFuncLines {
				t.Errorf("%s:%d: %s has %d lines, the budget is %d", s.path, s.line(fn.Pos()), fn.Name.Name, n, maxFuncLines)
			}
		}
	}
	for pkg, n := range lines {
		if budget := packageBudget(pkg); n > budget {
			t.Errorf("package %s has %d lines of code, the budget is %d", pkg, n, budget)
		}
	}
}

// funcLines counts the lines of a function, in a test without its tables.
func funcLines(s *source, fn *ast.FuncDecl) int {
	n := s.line(fn.End()) - s.line(fn.Pos()) + 1
	if !s.test {
		return n
	}
	ast.Inspect(fn, func(node ast.Node) bool {
		table, ok := node.(*ast.CompositeLit)
		if ok {
			n -= s.line(table.End()) - s.line(table.Pos())
		}
		return !ok
	})
	return n
}

// packageBudget returns how many lines of code a package may have.
func packageBudget(pkg string) int {
	switch pkg {
	case "sip":
		// Transports, transactions and dialogs share one mailbox and one set of
		// timers; the walls between them would be longer than the rooms. See
		// docs/adr/0005-sip-serialised-per-dialog.md.
		return maxPackageLines * 3 / 2
	case "session":
		// Whatever changes a call runs in the one goroutine that owns it, and
		// works on the same legs: commands, flows, bridges and recordings.
		return maxPackageLines * 3 / 2
	case "media":
		// A leg's relay, transcoder, prompts and listeners share one worker, one wheel
		// and one stream each way, and call each other per packet; the drivers of
		// sockets know each worker's legs.
		return maxPackageLines * 3 / 2
	}
	return maxPackageLines
}

// codeLines counts the lines that hold more than a comment.
func codeLines(s *source) int {
	comment := map[int]bool{}
	for _, group := range s.file.Comments {
		for n := s.line(group.Pos()); n <= s.line(group.End()); n++ {
			comment[n] = true
		}
	}
	count := 0
	for i, line := range bytes.Split(s.text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		whole := comment[i+1] && (bytes.HasPrefix(line, []byte("//")) || bytes.HasPrefix(line, []byte("/*")))
		if len(line) > 0 && !whole {
			count++
		}
	}
	return count
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for pkg, sources := range load(t).packages() {
		var places []string
		for _, s := range sources {
			if s.file.Doc == nil || s.generated {
				continue // a generator's own words say nothing of the package
			}
			places = append(places, s.path)
			name := s.file.Name.Name
			want := "Package " + name + " "
			if name == "main" {
				want = "Command "
			}
			if text := s.file.Doc.Text(); !strings.HasPrefix(text, want) {
				t.Errorf("%s: the package comment does not begin with %q", s.path, want)
			}
			if base := path.Base(s.path); base != "doc.go" && base != "main.go" && base != path.Base(pkg)+".go" {
				t.Errorf("%s: the package comment belongs into doc.go or the main file", s.path)
			}
		}
		if len(places) != 1 {
			t.Errorf("package %s has %d package comments, want one: %s", pkg, len(places), strings.Join(places, " "))
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, s := range load(t).code() {
		for _, decl := range s.file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s:%d: init() runs unasked: build it in New", s.path, s.line(fn.Pos()))
			}
		}
	}
}

// TestNoSleepInTests: a test that sleeps is slow when it passes and flaky when
// the machine is busy.
func TestNoSleepInTests(t *testing.T) {
	for _, s := range load(t).sources {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" && isIdent(sel.X, "time") {
				t.Errorf("%s:%d: time.Sleep in a test: wait for the condition (testkit.Eventually), a channel, or use testing/synctest", s.path, s.line(n.Pos()))
			}
			return true
		})
	}
}

// TestNoSkippedTests: a test that does not run proves nothing.
func TestNoSkippedTests(t *testing.T) {
	for _, s := range load(t).sources {
		if !s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || !strings.HasPrefix(sel.Sel.Name, "Skip") {
				return true
			}
			if isIdent(sel.X, "t") || isIdent(sel.X, "b") || isIdent(sel.X, "f") || isIdent(sel.X, "tb") {
				t.Errorf("%s:%d: a skipped test; a limit to short runs belongs into the Makefile", s.path, s.line(n.Pos()))
			}
			return true
		})
	}
}

// TestLowFloorsStartNothing: words and formats have no goroutines.
func TestLowFloorsStartNothing(t *testing.T) {
	tr := load(t)
	known := rows(tr)
	for _, s := range tr.code() {
		if p := known[s.pkg]; p.Floor > Formats || p.Root {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if _, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s:%d: the lowest floors start no goroutine", s.path, s.line(n.Pos()))
			}
			return true
		})
	}
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// TestPackageVariablesDoNotChange: a package-level variable is a sentinel
// error, an embedded file, a guard (_), or a table that nothing writes to.
func TestPackageVariablesDoNotChange(t *testing.T) {
	vars := map[string]map[string]*source{}
	for _, s := range load(t).code() {
		for name := range packageVars(s) {
			if vars[s.pkg] == nil {
				vars[s.pkg] = map[string]*source{}
			}
			vars[s.pkg][name] = s
		}
		for _, why := range shared(s) {
			t.Errorf("%s: %s", s.path, why)
		}
	}
	for _, s := range load(t).code() {
		for _, w := range writes(s) {
			if _, ok := vars[s.pkg][w.name]; ok && !declaredInside(s, w) {
				t.Errorf("%s:%d: package variable %s is changed: give it an owner", s.path, s.line(w.pos), w.name)
			}
		}
	}
}

// packageVars returns the names of the package-level variables of a file.
func packageVars(s *source) map[string]ast.Expr {
	names := map[string]ast.Expr{}
	for _, decl := range s.file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.VAR {
			continue
		}
		for _, spec := range gen.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok {
				continue
			}
			for _, id := range value.Names {
				if id.Name != "_" {
					names[id.Name] = value.Type
				}
			}
		}
	}
	return names
}

// shared returns the package-level variables whose type exists to be changed.
func shared(s *source) []string {
	var found []string
	for name, typ := range packageVars(s) {
		if sel, ok := typ.(*ast.SelectorExpr); ok && (isIdent(sel.X, "sync") || isIdent(sel.X, "atomic")) {
			found = append(found, "package variable "+name+" is shared state: give it an owner")
		}
	}
	return found
}

// write is one place where a variable, an element or a field of it is changed
// or its address taken.
type write struct {
	name string
	pos  token.Pos
}

func writes(s *source) []write {
	var found []write
	add := func(e ast.Expr) {
		if id := root(e); id != nil {
			found = append(found, write{id.Name, id.Pos()})
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				for _, e := range n.Lhs {
					add(e)
				}
			}
		case *ast.IncDecStmt:
			add(n.X)
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				add(n.X)
			}
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && (id.Name == "delete" || id.Name == "clear" || id.Name == "copy") {
				add(n.Args[0])
			}
		}
		return true
	})
	return found
}

// root returns the variable at the bottom of a, a.b, a[i] and *a.
func root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// declaredInside reports whether the function around a write declares a
// variable of the same name, so that the write is not to the package's.
func declaredInside(s *source, w write) bool {
	for _, decl := range s.file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || w.pos < fn.Pos() || w.pos > fn.End() {
			continue
		}
		found := false
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				for _, id := range n.Names {
					found = found || id.Name == w.name
				}
			case *ast.ValueSpec:
				for _, id := range n.Names {
					found = found || id.Name == w.name
				}
			case *ast.AssignStmt:
				if n.Tok == token.DEFINE {
					for _, e := range n.Lhs {
						found = found || isIdent(e, w.name)
					}
				}
			case *ast.RangeStmt:
				found = found || n.Key != nil && isIdent(n.Key, w.name) || n.Value != nil && isIdent(n.Value, w.name)
			}
			return true
		})
		return found
	}
	return false
}
