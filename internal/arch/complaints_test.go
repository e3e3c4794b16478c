package arch

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const complaintsPage = "docs/complaints.md"

// complaints is how many there are to own.
const complaints = 52

var (
	complaintRow = regexp.MustCompile(`(?m)^\| ([0-9]+) \|([^|]*)\|([^|]*)\|([^|]*)\|$`)
	ownedBy      = regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz|Benchmark)\\w+)(?:/([^`]+))?`")
)

// TestComplaintsAreOwned: every complaint of the page has a test that exists, or
// says in its last column why it does not arise.
func TestComplaintsAreOwned(t *testing.T) {
	tr := load(t)
	next := 1
	for _, row := range complaintRow.FindAllStringSubmatch(tr.read(t, complaintsPage), -1) {
		number, owners := row[1], strings.TrimSpace(row[4])
		if number != fmt.Sprint(next) {
			t.Fatalf("%s: row %s, want row %d: every complaint once, in order", complaintsPage, number, next)
		}
		next++
		named := ownedBy.FindAllStringSubmatch(owners, -1)
		if len(named) == 0 && !strings.HasPrefix(owners, "does not apply: ") {
			t.Errorf("%s: complaint %s has neither a test nor a reason: %q", complaintsPage, number, owners)
		}
		if left := strings.TrimSpace(ownedBy.ReplaceAllString(owners, "")); len(named) > 0 && left != "" {
			t.Errorf("%s: complaint %s: %q is not the name of a test", complaintsPage, number, left)
		}
		for _, name := range named {
			if why := tr.lacksTest(name[1], name[2], name[3]); why != "" {
				t.Errorf("%s: complaint %s: %s", complaintsPage, number, why)
			}
		}
	}
	if next != complaints+1 {
		t.Errorf("%s: %d complaints, want %d", complaintsPage, next-1, complaints)
	}
}

// lacksTest says what is missing of a test of a package below internal/, or "".
func (tr *tree) lacksTest(pkg, name, sub string) string {
	dir := "internal/" + pkg
	found, subFound := false, sub == ""
	for _, s := range tr.sources {
		if !s.test || s.pkg != pkg && !strings.HasPrefix(s.path, dir+"/") {
			continue
		}
		text := string(s.text)
		found = found || strings.Contains(text, "\nfunc "+name+"(")
		subFound = subFound || strings.Contains(text, `"`+sub+`"`)
	}
	switch {
	case !found:
		return fmt.Sprintf("%s has no %s", dir, name)
	case !subFound:
		return fmt.Sprintf("%s of %s has no part %q", name, dir, sub)
	}
	return ""
}
