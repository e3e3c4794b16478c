package workshop

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"tapedeck/internal/journal"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// The two processes of a socket are of one program file, so that what they say
// needs no version. Each message is its length (4 bytes, big endian) and JSON;
// the files of an order are descriptors that come with its first byte.

// maxMessage bounds a message: the receipt of a day with a gap a second has some
// 10 MB.
const maxMessage = 64 << 20

// sheet is an order as it is sent. Its files follow in the order of the members.
type sheet struct {
	Journal string            `json:"journal,omitempty"`
	Format  voice.AudioFormat `json:"format,omitempty"`
	Watched bool              `json:"watched,omitempty"` // somebody looks at the progress
	Source  bool              `json:"source,omitempty"`
	Out     bool              `json:"out,omitempty"`
	Peaks   bool              `json:"peaks,omitempty"`

	Stereo    bool           `json:"stereo,omitempty"`
	Swap      bool           `json:"swap,omitempty"`
	MaxLength time.Duration  `json:"maxLengthNs,omitempty"`
	EndCause  voice.EndCause `json:"endCause,omitempty"`
	Ended     time.Time      `json:"ended,omitzero"`
	Software  string         `json:"software,omitempty"`
}

// write puts an order on a sheet, with its files. source is the order's, as a file.
func write(o *Order, source *os.File) (s sheet, files []*os.File) {
	l := &o.Layout
	s = sheet{
		Journal: o.Journal, Format: o.Format, Watched: o.Progress != nil,
		Source: source != nil, Out: o.Out != nil, Peaks: o.Peaks != nil,
		Stereo: l.Stereo, Swap: l.Swap, MaxLength: l.MaxLength, EndCause: l.EndCause, Ended: l.Ended, Software: l.Software,
	}
	for _, f := range []*os.File{source, o.Out, o.Peaks} {
		if f != nil {
			files = append(files, f)
		}
	}
	return s, files
}

// errSheet means that what came is no order.
var errSheet = errors.New("that is no order")

// read is the order of a sheet and its files.
func (s *sheet) read(files []*os.File) (*Order, error) {
	o := &Order{Journal: s.Journal, Format: s.Format, Layout: render.Layout{
		Stereo: s.Stereo, Swap: s.Swap, MaxLength: s.MaxLength, EndCause: s.EndCause, Ended: s.Ended, Software: s.Software,
	}}
	next := func(there bool) (f *os.File, err error) {
		if !there {
			return nil, nil
		}
		if len(files) == 0 {
			return nil, errSheet
		}
		f, files = files[0], files[1:]
		return f, nil
	}
	source, err := next(s.Source)
	if err != nil {
		return nil, err
	}
	if source != nil {
		o.Source = source
	}
	if o.Out, err = next(s.Out); err != nil {
		return nil, err
	}
	if o.Peaks, err = next(s.Peaks); err != nil {
		return nil, err
	}
	if len(files) > 0 || o.Journal == "" && o.Source == nil || o.Format != "" && o.Out == nil {
		return nil, errSheet
	}
	return o, nil
}

// answer is what the process that works says: that it is there, how far it is, or
// what came of an order.
type answer struct {
	Ready  bool    `json:"ready,omitempty"`
	Done   int64   `json:"done,omitempty"`
	Total  int64   `json:"total,omitempty"` // not 0 = no more than progress
	Result *Result `json:"result,omitempty"`
	Fault  *fault  `json:"fault,omitempty"`
}

// fault is an error on its way: its text, and what errors.Is and errors.As find
// in it.
type fault struct {
	Text    string        `json:"text"`
	Kinds   []string      `json:"kinds,omitempty"`
	Errno   syscall.Errno `json:"errno,omitempty"`
	Corrupt *corrupt      `json:"corrupt,omitempty"`
}

// corrupt is a journal.CorruptError.
type corrupt struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
	Text   string `json:"text"`
}

// kinds are the errors that somebody above tells from others.
func kinds() map[string]error {
	return map[string]error{
		"canceled": context.Canceled, "deadline": context.DeadlineExceeded,
		"not-exist": fs.ErrNotExist, "permission": fs.ErrPermission,
		"not-begun": render.ErrNotBegun, "format-unavailable": render.ErrFormatUnavailable,
		"not-journal": journal.ErrNotJournal, "version": journal.ErrVersion, "no-header": journal.ErrNoHeader,
		"checksum": journal.ErrChecksum, "malformed": journal.ErrMalformed, "missing": journal.ErrMissing,
		"journal": ErrJournal, "wav": wav.ErrFormat, "short": io.ErrUnexpectedEOF,
	}
}

// faultOf packs an error.
func faultOf(err error) *fault {
	f := &fault{Text: err.Error()}
	for name, kind := range kinds() {
		if errors.Is(err, kind) {
			f.Kinds = append(f.Kinds, name)
		}
	}
	var bad *journal.CorruptError
	if errors.As(err, &bad) {
		f.Corrupt = &corrupt{Path: bad.Path, Offset: bad.Offset, Length: bad.Length}
		if bad.Err != nil {
			f.Corrupt.Text = bad.Err.Error()
		}
	}
	errors.As(err, &f.Errno)
	return f
}

// Error is the text of the error that was packed.
func (f *fault) Error() string { return f.Text }

// Unwrap returns what was found in it.
func (f *fault) Unwrap() (all []error) {
	known := kinds()
	for _, name := range f.Kinds {
		if kind := known[name]; kind != nil {
			all = append(all, kind)
		}
	}
	if c := f.Corrupt; c != nil {
		all = append(all, &journal.CorruptError{Path: c.Path, Offset: c.Offset, Length: c.Length, Err: errors.New(c.Text)})
	}
	if f.Errno != 0 {
		all = append(all, f.Errno)
	}
	return all
}
