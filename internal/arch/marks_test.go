package arch

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tapedeck/internal/config"
)

// update writes the parts of documents that are made from the tables.
var update = flag.Bool("update", false, "write the generated parts of the documents anew")

// TestArchitecturePage compares the table in docs/architecture.md.
func TestArchitecturePage(t *testing.T) {
	compare(t, "docs/architecture.md", "<!-- table -->", "<!-- end of table -->", markdownTable())
}

// TestLinterWalls compares the import rules in .golangci.yml, which show a
// broken wall in the editor, before the tests do.
func TestLinterWalls(t *testing.T) {
	compare(t, ".golangci.yml", "# walls:", "# end of walls", linterRules())
}

// TestSettingsPage compares the settings in docs/operations.md with those that
// there are.
func TestSettingsPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("```yaml\n")
	if err := config.Default().Explain(&b); err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(b.String(), " (default)", "") + "```\n"
	compare(t, "docs/operations.md", "<!-- settings -->", "<!-- end of settings -->", want)
}

// compare checks, or writes with -update, the lines between two marks.
func compare(t *testing.T, rel, from, to, want string) {
	t.Helper()
	tr := load(t)
	text := tr.read(t, rel)
	head, rest, ok := strings.Cut(text, from)
	if !ok {
		t.Fatalf("%s has no mark %q", rel, from)
	}
	tail, rest, _ := strings.Cut(rest, "\n")
	got, rest, ok := strings.Cut(rest, to)
	if !ok {
		t.Fatalf("%s has no mark %q", rel, to)
	}
	indent := got[strings.LastIndex(got, "\n")+1:]
	got = strings.TrimSuffix(got, indent)
	if got == want {
		return
	}
	if *update {
		rewrite(t, tr, rel, head+from+tail+"\n"+want+indent+to+rest)
		return
	}
	t.Errorf("%s differs from the tables in internal/arch: go test ./internal/arch -update", rel)
}

// markdownTable is the import table for people.
func markdownTable() string {
	var b strings.Builder
	b.WriteString("| floor | package | what it does | imports |\n|---|---|---|---|\n")
	for _, p := range Table() {
		floor, name := fmt.Sprint(int(p.Floor)), "internal/"+p.Path
		if p.Floor == Test {
			floor = "–"
		}
		if p.Root {
			name = p.Path
		}
		imports := strings.Join(p.Imports, ", ")
		switch imports {
		case "":
			imports = "–"
		case Anything:
			imports = "anything below"
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s |\n", floor, name, p.Does, imports)
	}
	b.WriteString("\n| library | its home | for |\n|---|---|---|\n")
	for _, lib := range Libraries() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", lib.Module, homes(lib), lib.Why)
	}
	return b.String()
}

// homes says in words where a library may be imported.
func homes(lib Library) string {
	var parts []string
	if len(lib.Homes) > 0 {
		parts = append(parts, strings.Join(lib.Homes, ", "))
	}
	if lib.From > Words {
		parts = append(parts, fmt.Sprintf("floor %d and up", int(lib.From)))
	}
	if lib.Tests {
		parts = append(parts, "tests")
	}
	return strings.Join(parts, "; ")
}

// linterRules is the import table for depguard: one rule a package for our
// own imports, one a library for its homes.
func linterRules() string {
	var b strings.Builder
	dirs := map[string]string{}
	for _, p := range Table() {
		if dirs[p.Path] = "internal/" + p.Path; p.Root {
			dirs[p.Path] = p.Path
		}
	}
	for _, p := range Table() {
		if slices.Contains(p.Imports, Anything) || p.Floor == Test {
			continue
		}
		dir := dirs[p.Path]
		fmt.Fprintf(&b, "        %s:\n          list-mode: lax\n          files: [\"**/%s/*.go\", \"!$test\"]\n", ruleName(p.Path), dir)
		fmt.Fprintf(&b, "          deny:\n            - {pkg: tapedeck, desc: \"not among the imports of %s in internal/arch/table.go\"}\n", p.Path)
		allow := slices.Clone(p.Imports)
		if i := strings.LastIndex(p.Path, "/"); i > 0 && dirs[p.Path[:i]] != "" {
			allow = append(allow, p.Path[:i])
		}
		if len(allow) > 0 {
			fmt.Fprintf(&b, "          allow:\n")
		}
		for _, name := range allow {
			fmt.Fprintf(&b, "            - tapedeck/%s$\n", dirs[name])
		}
	}
	for _, lib := range Libraries() {
		if lib.From > Words || len(lib.Homes) == 0 {
			continue
		}
		files := []string{`"$all"`}
		if lib.Tests {
			files = append(files, `"!$test"`)
		}
		for _, home := range lib.Homes {
			files = append(files, fmt.Sprintf("\"!**/%s/**\"", home))
		}
		name := strings.TrimPrefix(lib.Module, "github.com/")
		fmt.Fprintf(&b, "        %s:\n          files: [%s]\n", ruleName("library/"+name), strings.Join(files, ", "))
		fmt.Fprintf(&b, "          deny:\n            - {pkg: %s, desc: \"its home is %s\"}\n", lib.Module, homes(lib))
	}
	return b.String()
}

// ruleName makes a key that the configuration accepts.
func ruleName(s string) string {
	return strings.NewReplacer("/", "-", ".", "-").Replace(s)
}
