//go:build unix

package workshop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/render"
	"tapedeck/internal/testkit"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

const patience = 30 * time.Second

// roleEnv says what this test is when a Crew has started it: a workshop, or one
// that behaves badly.
const roleEnv = "WORKSHOP_ROLE"

func TestMain(m *testing.M) {
	role := os.Getenv(roleEnv)
	if role == "" {
		m.Run()
		return
	}
	if err := act(role); err != nil {
		panic(err)
	}
}

// act is what the process does that a Crew has started.
func act(role string) error {
	if role == "good" {
		return Serve()
	}
	if role == "absent" {
		return errors.New("this one cannot work")
	}
	l, err := lineOf(os.NewFile(socketFD, "workshop"))
	if err != nil {
		return err
	}
	if err := l.send(answer{Ready: true}); err != nil {
		return err
	}
	var s sheet
	if _, err := l.receive(&s); err != nil {
		return err
	}
	switch role {
	case "panics":
		panic("ouch")
	case "babbles":
		_, err = l.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	case "lies":
		_, err = l.Write([]byte("\x00\x00\x00\x02{]"))
	case "mumbles":
		err = l.send(answer{})
	case "stops":
		_, err = l.Write([]byte("\x00\x00\x01\x00{"))
		return errors.Join(err, errors.New("the other half never comes"))
	}
	if err != nil {
		return err
	}
	_, err = l.receive(&s) // the other side gives up
	return err
}

// crew is a Crew of processes that have a role.
func crew(t testing.TB, role string, o Options) *Crew {
	t.Helper()
	testkit.Timeout(t, 2*time.Minute)
	testkit.NoLeaks(t)
	t.Setenv(roleEnv, role)
	self, err := Program()
	if err != nil {
		t.Fatal(err)
	}
	o.Command = []string{self}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// pid waits until there is one process, and tells which.
func (c *Crew) pid(t testing.TB) (pid int) {
	t.Helper()
	testkit.Eventually(t, patience, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.all) != 1 {
			return false
		}
		pid = c.all[0].cmd.Process.Pid
		return true
	})
	return pid
}

func (c *Crew) processes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all)
}

// call writes the journal of a stereo call with a pause in it.
func call(t testing.TB, length time.Duration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "call.journal")
	wall := time.Unix(1_700_000_000, 123_456_789).UTC()
	w, err := journal.Create(path, journal.Header{Recording: "R", Workspace: "W", Channel: "C", Call: "A", Stereo: true, SampleRate: 8000, Wall: wall}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, party := range []string{"A", "B"} {
		err = errors.Join(err, w.Control(journal.Entry{Kind: journal.KindTrackOpened, Track: uint16(i), Detail: journal.Detail{
			Call: party, Party: party, Role: string(voice.RoleCaller), Codecs: []journal.Codec{{PT: 0, Name: "PCMU", ClockRate: 8000, Channels: 1}},
		}}))
	}
	err = errors.Join(err,
		w.Control(journal.Entry{Kind: journal.KindBegin, Detail: journal.Detail{Wall: wall}}),
		w.Control(journal.Entry{Kind: journal.KindJoined, Detail: journal.Detail{Call: "A", Other: "B"}}),
	)
	payload := make([]byte, 160)
	for i := range int(length / (20 * time.Millisecond)) {
		if i%50 == 7 {
			continue // a loss
		}
		for track := range uint16(2) {
			for k := range payload {
				payload[k] = byte(i*31 + k*int(track+3))
			}
			err = errors.Join(err, w.Packet(time.Duration(i)*20*time.Millisecond, track, &journal.Packet{Seq: uint16(i), Time: uint32(160 * i), SSRC: uint32(track), Payload: payload}))
		}
		if i%12 == 11 {
			err = errors.Join(err, w.Flush())
		}
	}
	err = errors.Join(err, w.Control(journal.Entry{Kind: journal.KindStop, At: length, Detail: journal.Detail{Cause: string(voice.EndCallEnded)}}), w.Close())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// maker is what both Here and Crew are.
type maker interface {
	Make(ctx context.Context, o *Order) (Result, error)
}

// file makes an empty file.
func file(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// content is what a file holds; it is at its start then.
func content(t testing.TB, f *os.File) []byte {
	t.Helper()
	_, err := f.Seek(0, io.SeekStart)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	return all
}

// made is all that comes of a journal.
type made struct {
	wav, peaks, flac, again []byte
	receipt                 []byte
	sum, live               Result
}

func makeAll(t *testing.T, m maker, path string) (out made) {
	t.Helper()
	give := func(o *Order) Result {
		r, err := m.Make(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	layout := render.Layout{
		Stereo: true, Swap: true, MaxLength: 90 * time.Minute, EndCause: voice.EndNodeLost, Software: "test 1",
		Ended: time.Unix(1_700_000_900, 0).In(time.FixedZone("", 3600)),
	}
	wavFile, picture, flacFile, again := file(t), file(t), file(t), file(t)
	r := give(&Order{Journal: path, Layout: layout, Out: wavFile, Peaks: picture})
	out.live = give(&Order{Journal: path, Layout: render.Layout{}, Peaks: file(t)})
	receipt, err := json.MarshalIndent(r.Receipt, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	out.receipt, out.wav, out.peaks = receipt, content(t, wavFile), content(t, picture)
	give(&Order{Source: wavFile, Out: flacFile, Format: voice.FormatFLAC})
	content(t, wavFile)
	give(&Order{Source: wavFile, Peaks: again})
	out.flac, out.again = content(t, flacFile), content(t, again)
	out.sum = give(&Order{Source: flacFile})
	return out
}

// TestSameEverywhere: files, receipts and sums are the same to the byte, wherever
// they are made, and however often the same process is used.
func TestSameEverywhere(t *testing.T) {
	c := crew(t, "good", Options{})
	path := call(t, 20*time.Second)
	want := makeAll(t, &Here{}, path)
	if len(want.wav) < 20*16000 || !bytes.Equal(want.peaks, want.again) || len(want.flac) == 0 || want.sum.Size != int64(len(want.flac)) {
		t.Fatalf("what is made here is not what it should be: %d bytes", len(want.wav))
	}
	for range 3 {
		if got := makeAll(t, c, path); !reflect.DeepEqual(got, want) {
			t.Errorf("another receipt or other bytes:\n%s\nwant\n%s", got.receipt, want.receipt)
		}
	}
	if c.processes() != 1 {
		t.Errorf("%d processes for one order after the other", c.processes())
	}
	info, err := c.Sum(t.Context(), bytes.NewReader([]byte("no file of the system"))) // which cannot be handed over
	if err != nil || info.Size != 21 {
		t.Errorf("sum of what is no file: %v, %v", info, err)
	}
}

// TestEverythingIsCarried: a member of Layout that is new must be on the sheet.
func TestEverythingIsCarried(t *testing.T) {
	elsewhere := []string{"Peaks", "Progress", "Desk"} // a file of the order, messages, the process's own
	for _, f := range reflect.VisibleFields(reflect.TypeFor[render.Layout]()) {
		_, carried := reflect.TypeFor[sheet]().FieldByName(f.Name)
		if !carried && !slices.Contains(elsewhere, f.Name) {
			t.Errorf("Layout.%s does not come to the other process", f.Name)
		}
	}
}

// TestErrorsKeepTheirKind: what others tell an error by is there on this side too,
// and the process goes on.
func TestErrorsKeepTheirKind(t *testing.T) {
	c := crew(t, "good", Options{})
	dir := t.TempDir()
	empty, broken := filepath.Join(dir, "nothing.journal"), testkit.WriteFile(t, dir, "broken.journal", strings.Repeat("no journal ", 1000))
	w, err := journal.Create(empty, journal.Header{Recording: "R", Call: "A"}, nil)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.Open(broken)
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(text.Close(), full.Close()); err != nil {
			t.Error(err)
		}
	})
	long := call(t, 10*time.Second)
	for name, o := range map[string]struct {
		order Order
		is    []error
	}{
		"a journal that is missing": {Order{Journal: filepath.Join(dir, "gone.journal"), Out: file(t)}, []error{ErrJournal, fs.ErrNotExist, syscall.ENOENT}},
		"a journal that is none":    {Order{Journal: broken, Out: file(t)}, []error{ErrJournal}},
		"capture that never began":  {Order{Journal: empty, Out: file(t)}, []error{render.ErrNotBegun}},
		"a file that is no WAV":     {Order{Source: text, Out: file(t), Format: voice.FormatFLAC}, []error{wav.ErrFormat}},
		"an unknown format":         {Order{Source: text, Out: file(t), Format: "tape"}, []error{render.ErrFormatUnavailable}},
		"a full disk":               {Order{Journal: long, Out: full}, []error{syscall.ENOSPC}},
	} {
		if _, err := text.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		_, here := (&Here{}).Make(t.Context(), &o.order)
		if _, err := text.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		_, there := c.Make(t.Context(), &o.order)
		var corruptHere, corruptThere *journal.CorruptError
		if here == nil || there == nil || here.Error() != strings.ReplaceAll(there.Error(), "ordered file", full.Name()) {
			t.Errorf("%s: here %q, there %q", name, here, there)
		}
		if errors.As(here, &corruptHere) != errors.As(there, &corruptThere) || corruptHere != nil && corruptHere.Error() != corruptThere.Error() {
			t.Errorf("%s: here %v, there %v", name, corruptHere, corruptThere)
		}
		for _, kind := range o.is {
			if !errors.Is(here, kind) || !errors.Is(there, kind) {
				t.Errorf("%s: %v and %v are not %v", name, here, there, kind)
			}
		}
	}
	if c.processes() != 1 {
		t.Errorf("%d processes", c.processes())
	}
}

// endless gives an order that never ends, and tells when it is being made: the file
// is one end of a pipe.
func endless(ctx context.Context, t *testing.T, c *Crew) (ended <-chan error) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), w.Close()); err != nil {
			t.Error(err)
		}
	})
	out := make(chan error, 1)
	go func() {
		_, err := c.Make(ctx, &Order{Journal: call(t, 20*time.Second), Out: w})
		out <- err
	}()
	// More than the header is on its way: the process works.
	if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	return out
}

// works: the Crew has a process again, another one.
func works(t *testing.T, c *Crew, was int) {
	t.Helper()
	if _, err := c.Make(t.Context(), &Order{Journal: call(t, time.Second), Out: file(t)}); err != nil {
		t.Error(err)
	}
	if is := c.pid(t); is == was {
		t.Errorf("process %d is still there", is)
	}
}

// TestKilled: a process that is killed at its work costs that one file.
func TestKilled(t *testing.T) {
	c := crew(t, "good", Options{})
	ended := endless(t.Context(), t, c)
	pid := c.pid(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, patience, ended); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the error is %v", err)
	}
	works(t, c, pid)
	// One that dies while it has nothing to do costs nothing.
	pid = c.pid(t)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, func() bool { return c.processes() == 0 })
	works(t, c, pid)
}

// TestCancelled: the end of the context is the end of the work.
func TestCancelled(t *testing.T) {
	c := crew(t, "good", Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := endless(ctx, t, c)
	pid := c.pid(t)
	cancel()
	if err := testkit.Receive(t, patience, ended); !errors.Is(err, context.Canceled) || errors.Is(err, ErrLost) {
		t.Errorf("the error is %v", err)
	}
	testkit.Eventually(t, patience, func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
	if _, err := c.Make(ctx, &Order{Journal: "no matter"}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	works(t, c, pid)
}

// TestClosed: the end of the Crew is the end of all that it makes.
func TestClosed(t *testing.T) {
	c := crew(t, "good", Options{})
	ended := endless(t.Context(), t, c)
	pid := c.pid(t)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := testkit.Receive(t, patience, ended); !errors.Is(err, errClosed) {
		t.Errorf("the error is %v", err)
	}
	if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
		t.Errorf("process %d is there: %v", pid, err)
	}
	if _, err := c.Make(t.Context(), &Order{Journal: "no matter"}); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestMisbehaves: a process that crashes or says what makes no sense is an error
// with its last words, and is gone.
func TestMisbehaves(t *testing.T) {
	for role, text := range map[string]string{
		"panics": "ouch", "babbles": "none of ours", "lies": "invalid character", "mumbles": "no sense", "stops": "the other half",
	} {
		t.Run(role, func(t *testing.T) {
			c := crew(t, role, Options{})
			_, err := c.Make(t.Context(), &Order{Journal: call(t, time.Second), Out: file(t)})
			if !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), text) {
				t.Errorf("the error is %v", err)
			}
			testkit.Eventually(t, patience, func() bool { return c.processes() == 0 })
		})
	}
}

// TestNotStarted: where there can be no process, the file is made here.
func TestNotStarted(t *testing.T) {
	for _, role := range []string{"absent", "no program"} {
		t.Run(role, func(t *testing.T) {
			c := crew(t, role, Options{})
			if role != "absent" {
				c.o.Command = []string{filepath.Join(t.TempDir(), "none")}
			}
			want, got := file(t), file(t)
			path := call(t, time.Second)
			for _, o := range []struct {
				m maker
				f *os.File
			}{{&Here{}, want}, {c, got}} {
				if _, err := o.m.Make(t.Context(), &Order{Journal: path, Out: o.f}); err != nil {
					t.Error(err)
				}
			}
			if !bytes.Equal(content(t, want), content(t, got)) {
				t.Error("another file")
			}
		})
	}
}

// TestIdle: who has nothing to do for a while is sent away.
func TestIdle(t *testing.T) {
	c := crew(t, "good", Options{Idle: time.Millisecond})
	for range 3 {
		if _, err := c.Make(t.Context(), &Order{Journal: call(t, time.Second), Out: file(t)}); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, patience, func() bool { return c.processes() == 0 })
	}
}

// TestNoOrder: what is no order ends the process, which says so.
func TestNoOrder(t *testing.T) {
	c := crew(t, "good", Options{})
	for name, s := range map[string]any{
		"nothing to do": sheet{}, "a file that did not come": sheet{Journal: "x", Out: true}, "no place for it": sheet{Format: "flac"}, "no object": 7,
	} {
		h, err := c.take(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := h.send(s); err != nil {
			t.Fatal(err)
		}
		testkit.Receive(t, patience, afterwards(h.gone))
		if h.cause == nil {
			t.Errorf("%s: it ended as if all were well", name)
		}
	}
}

// afterwards gives a value when a channel is closed.
func afterwards(c <-chan struct{}) <-chan bool {
	out := make(chan bool, 1)
	go func() {
		<-c
		out <- true
	}()
	return out
}

// TestProgress: it is told, and never more than there is.
func TestProgress(t *testing.T) {
	c := crew(t, "good", Options{})
	var told [][2]int64
	r, err := c.Make(t.Context(), &Order{
		Journal: call(t, time.Minute), Out: file(t),
		Progress: func(done, total int64) { told = append(told, [2]int64{done, total}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 {
		t.Fatal("nothing was told")
	}
	for _, n := range told {
		if n[0] < 0 || n[0] > n[1] || n[1] != r.Receipt.Samples {
			t.Errorf("%d of %d, there are %d", n[0], n[1], r.Receipt.Samples)
		}
	}
}

// TestPanics: a panic of the work is an error of that order, and the next is made.
func TestPanics(t *testing.T) {
	testkit.Timeout(t, time.Minute)
	o := &Order{Source: angry{}}
	if _, err := o.guarded(t.Context(), render.NewDesk()); !errors.Is(err, errPanic) || !strings.Contains(err.Error(), "ouch") {
		t.Errorf("the error is %v", err)
	}
}

type angry struct{}

func (angry) Read([]byte) (int, error) { panic("ouch") }
