package arch

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLicence(t *testing.T) {
	text := load(t).read(t, "LICENSE")
	if !strings.HasPrefix(text, "MIT License\n") || !strings.Contains(text, "Copyright (c) ") {
		t.Error("LICENSE is not the MIT licence with its copyright line")
	}
}

// TestNoMachineInTheRepository: nothing here knows the machine or the registry
// it was written on.
func TestNoMachineInTheRepository(t *testing.T) {
	tr := load(t)
	foreign := regexp.MustCompile(`(^|[\s"'=(:])/(` + strings.Join([]string{"work", "home/[a-z]", "root", "Users/[A-Za-z]"}, "|") + `)(/|\b)|/tmp/[a-z]` +
		`|GO` + `PROXY *=|registry` + ` *= *http|GONO` + `SUMDB|proxy\.golang` + `\.org|registry\.npm` + `js|pypi\.` + `org`)
	for _, rel := range everyText(t, tr) {
		for n, line := range strings.Split(tr.read(t, rel), "\n") {
			if at := foreign.FindString(line); at != "" {
				t.Errorf("%s:%d: %q names a machine or a registry", rel, n+1, strings.TrimSpace(at))
			}
		}
	}
}

// everyText returns all text files of the repository.
func everyText(t *testing.T, tr *tree) []string {
	t.Helper()
	list := slices.Clone(tr.files)
	for _, s := range tr.sources {
		list = append(list, s.path)
	}
	return slices.DeleteFunc(list, func(rel string) bool {
		if path.Base(rel) == "go.sum" {
			return true
		}
		info, err := os.Stat(filepath.Join(tr.root, rel))
		if err != nil || info.Size() > 1<<20 {
			return true
		}
		return !utf8.ValidString(tr.read(t, rel)) || strings.ContainsRune(tr.read(t, rel), 0)
	})
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
)

// TestLinksResolve checks every relative link and every anchor in the
// Markdown files.
func TestLinksResolve(t *testing.T) {
	tr := load(t)
	for _, rel := range markdown(tr) {
		text := fence.ReplaceAllString(tr.read(t, rel), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if why := broken(t, tr, rel, m[1]); why != "" {
				t.Errorf("%s: link %s: %s", rel, m[1], why)
			}
		}
	}
}

func markdown(tr *tree) []string {
	var list []string
	for _, rel := range tr.files {
		if strings.HasSuffix(rel, ".md") {
			list = append(list, rel)
		}
	}
	return list
}

// broken returns why a link leads nowhere, or "".
func broken(t *testing.T, tr *tree, from, to string) string {
	t.Helper()
	if strings.Contains(to, "://") || strings.HasPrefix(to, "mailto:") {
		return ""
	}
	file, anchor, _ := strings.Cut(to, "#")
	target := from
	if file != "" {
		target = path.Join(path.Dir(from), file)
	}
	if _, err := fs.Stat(os.DirFS(tr.root), target); err != nil {
		return "no such file"
	}
	if anchor != "" && !slices.Contains(anchors(tr.read(t, target)), anchor) {
		return "no such heading"
	}
	return ""
}

// anchors returns the anchors that a Markdown viewer makes of the headings.
func anchors(text string) []string {
	var list []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(m[1]) {
			switch {
			case r == ' ':
				b.WriteByte('-')
			case r == '-' || r == '_' || r > 127 || r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
				b.WriteRune(r)
			}
		}
		list = append(list, b.String())
	}
	return list
}

// TestEveryPageIsReachable: a page in docs that no other page links to is lost.
func TestEveryPageIsReachable(t *testing.T) {
	tr := load(t)
	linked := map[string]bool{}
	for _, rel := range markdown(tr) {
		for _, m := range link.FindAllStringSubmatch(tr.read(t, rel), -1) {
			file, _, _ := strings.Cut(m[1], "#")
			if file != "" {
				linked[path.Join(path.Dir(rel), file)] = true
			}
		}
	}
	for _, rel := range markdown(tr) {
		if strings.HasPrefix(rel, "docs/") && !linked[rel] {
			t.Errorf("%s: no page links to it", rel)
		}
	}
}

var metricName = regexp.MustCompile(`tapedeck_([a-z]+)_([a-z_]+)`)

// TestMetricsInDocuments: each figure that a page names is one that the package
// in its name registers.
func TestMetricsInDocuments(t *testing.T) {
	tr := load(t)
	code := map[string]string{}
	for _, s := range tr.code() {
		code[path.Base(s.pkg)] += string(s.text) // a package in another is known by its own name
	}
	for _, rel := range markdown(tr) {
		for _, m := range metricName.FindAllStringSubmatch(tr.read(t, rel), -1) {
			if text := code[m[1]]; !strings.Contains(text, `"`+m[0]+`"`) && !strings.Contains(text, `"`+m[2]+`"`) {
				t.Errorf("%s: package %s has no figure %s", rel, m[1], m[0])
			}
		}
	}
}

const rfcIndex = "docs/rfc/index.txt"

// rfcMention finds "RFC 3261" and lists such as "RFC 3550 and 3551" only at
// their first number: every number is written with its RFC.
var rfcMention = regexp.MustCompile(`RFC ?([0-9]{3,5})`)

// TestRFCIndex compares docs/rfc/index.txt with the mentions in the code, both
// ways: each RFC with the packages whose code names it.
func TestRFCIndex(t *testing.T) {
	tr := load(t)
	mentions := rfcMentions(tr)
	text := tr.read(t, rfcIndex)
	var out []string
	listed := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			out = append(out, line)
			continue
		}
		fields := strings.Split(line, "\t")
		if len(fields) != 4 {
			t.Errorf("%s: %q: want number, status, packages and title, separated by tabs", rfcIndex, line)
			continue
		}
		number, status, packages := fields[0], fields[1], strings.Join(mentions[fields[0]], " ")
		listed[number] = true
		switch status {
		case "Yes", "Partial":
			if packages == "" {
				t.Errorf("%s: RFC %s is %s, but no line of code names it", rfcIndex, number, status)
			}
		case "No":
		default:
			t.Errorf("%s: RFC %s: status %q is not Yes, Partial or No", rfcIndex, number, status)
		}
		if packages == "" {
			packages = "-"
		}
		if fields[2] != packages && !*update {
			t.Errorf("%s: RFC %s is named in %q, the index says %q: go test ./internal/arch -update", rfcIndex, number, packages, fields[2])
		}
		fields[2] = packages
		out = append(out, strings.Join(fields, "\t"))
	}
	for number, packages := range mentions {
		if !listed[number] {
			t.Errorf("%s lacks RFC %s, named in %s", rfcIndex, number, strings.Join(packages, " "))
		}
	}
	if *update {
		rewrite(t, tr, rfcIndex, strings.Join(out, "\n")+"\n")
	}
}

// rfcMentions returns the packages whose code names each RFC.
func rfcMentions(tr *tree) map[string][]string {
	found := map[string][]string{}
	for _, s := range tr.code() {
		for _, m := range rfcMention.FindAllSubmatch(s.text, -1) {
			number := string(m[1])
			if s.pkg != "arch" && !slices.Contains(found[number], s.pkg) {
				found[number] = append(found[number], s.pkg)
			}
		}
	}
	for _, packages := range found {
		sort.Strings(packages)
	}
	return found
}

// rewrite stores a file that -update made anew.
func rewrite(t *testing.T, tr *tree, rel, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(tr.root, rel), []byte(text), 0o644); err != nil {
		t.Fatal(fmt.Errorf("update %s: %w", rel, err))
	}
}
