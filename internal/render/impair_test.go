package render

import (
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	// -impairments=50 runs that many seeds of each row at full length and writes
	// the table into docs/recording.md. Without, one seed of shorter calls runs.
	seeds = flag.Int("impairments", 0, "seeds of each row; writes the table")
	base  = flag.Uint64("seed", 0, "first seed of the impairments, 0 = random, or 1 in a quick run")
	only  = flag.String("row", "", "run the rows with this in their name; writes no table")
)

// outcome is a row of the table.
type outcome struct {
	row     *impairment
	calls   int
	marks   int
	worst   [3]float64 // marker, offset, length; ms
	seed    [3]uint64
	trouble []string
}

// TestImpairments: whatever happens on the wire, what was said is in the file at
// the time at which it was said.
func TestImpairments(t *testing.T) {
	n, first := *seeds, *base
	quick := n == 0
	switch {
	case quick:
		n, first = 1, max(1, first)
	case first == 0:
		first = rand.Uint64N(1 << 40)
	}
	t.Logf("seeds from %d on", first)
	var table []*outcome
	t.Run("rows", func(t *testing.T) {
		for _, row := range impairments() {
			if !strings.Contains(row.name, *only) {
				continue
			}
			out := &outcome{row: &row}
			table = append(table, out)
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				for i := range n {
					out.add(row.run(t, first+uint64(i), quick), first+uint64(i))
				}
				out.check(t)
				if *seeds > 0 {
					t.Logf("%d calls, %d marks: marker %.2f ms, channels %.2f ms, length %.2f ms", out.calls, out.marks, out.worst[0], out.worst[1], out.worst[2])
				}
			})
		}
	})
	if *seeds >= 50 && *only == "" && !t.Failed() {
		publish(t, table, first)
	}
}

// run simulates one call.
func (i *impairment) run(t *testing.T, seed uint64, quick bool) *verdict {
	t.Helper()
	length := i.length
	if length == 0 {
		length = 30 * time.Second
	}
	if quick {
		length = min(length, 20*time.Second)
		if i.quick > 0 {
			length = i.quick
		}
	}
	h := fnv.New64a()
	fmt.Fprint(h, i.name) // each row has its own luck
	c := newCall(seed^h.Sum64(), length)
	i.do(c, c.stop)
	c.both((*phone).nextMark)
	list := i.codecs
	if list == nil {
		list = known()
	}
	v := c.listen(t, c.write(t, list))
	v.account(c)
	return v
}

// account looks whether the receipt tells of what is easily told.
func (v *verdict) account(c *call) {
	silent := len(c.left.arrivals)+len(c.right.arrivals) == 0
	for _, tr := range v.receipt.Tracks {
		if tr.NoMedia != silent {
			v.trouble = append(v.trouble, fmt.Sprintf("the receipt says no media: %t", tr.NoMedia))
		}
	}
	if v.receipt.EndCause != c.cause {
		v.trouble = append(v.trouble, fmt.Sprintf("the receipt says %q", v.receipt.EndCause))
	}
	if v.marks == 0 && !silent {
		v.trouble = append(v.trouble, "no mark was found")
	}
}

func (o *outcome) add(v *verdict, seed uint64) {
	o.calls++
	o.marks += v.marks
	for i, worst := range []float64{v.worst, v.offset, v.length} {
		if worst >= o.worst[i] {
			o.worst[i], o.seed[i] = worst, seed
		}
	}
	for _, s := range v.trouble {
		o.trouble = append(o.trouble, fmt.Sprintf("seed %d: %s", seed, s))
	}
}

// limits are those of the row, in milliseconds.
func (i *impairment) limits() [3]float64 {
	offset := together
	if i.offset > 0 {
		offset = i.offset
	}
	return [3]float64{float64(markerLimit / ms), float64(offset / ms), float64(lengthLimit / ms)}
}

func (o *outcome) check(t *testing.T) {
	t.Helper()
	for i, what := range []string{"a marker is", "the channels are", "the length is"} {
		if limit := o.row.limits()[i]; o.worst[i] > limit {
			t.Errorf("%s %.3f ms off, %.0f ms are allowed; -seed=%d -row=%q", what, o.worst[i], limit, o.seed[i], o.row.name)
		}
	}
	for i, s := range o.trouble {
		if i == 10 {
			t.Errorf("and %d more", len(o.trouble)-i)
			break
		}
		t.Error(s)
	}
}

// publish writes the table into the document.
func publish(t *testing.T, table []*outcome, first uint64) {
	const path, begin, end = "../../docs/recording.md", "<!-- impairments: made by `make impairments` -->\n", "<!-- end of impairments -->"
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d calls of each kind; worst values in milliseconds, after the limit.\n\n", table[0].calls)
	b.WriteString("| what happens | marks found | marker off | channels apart | length off |\n|---|---|---|---|---|\n")
	for _, o := range table {
		l := o.row.limits()
		fmt.Fprintf(&b, "| %s | %d | %.2f ≤ %.0f | %.2f ≤ %.0f | %.2f ≤ %.0f |\n", o.row.name, o.marks, o.worst[0], l[0], o.worst[1], l[1], o.worst[2], l[2])
	}
	b.WriteString("\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	_, tail, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("%s has no place for the table, between %q and %q", path, begin, end)
	}
	if err := os.WriteFile(path, []byte(head+begin+b.String()+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Logf("wrote the table into %s; first seed %d", path, first)
}
