package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"tapedeck/internal/receipt"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
)

// maxReceipt bounds what is read of a receipt into memory.
const maxReceipt = 64 << 20

// Options say what to verify.
type Options struct {
	File    string // path of the audio file
	Receipt string // path of its receipt
	// Key must have signed. nil = the key that the receipt names itself is
	// taken, which proves that the receipt is whole, not who made it.
	Key receipt.PublicKey
	// Journal is the path of the journal that the file was made from; empty =
	// it is not looked at.
	Journal string
	// Progress is told how many bytes were read; nil = nobody looks.
	Progress func(done, total int64)
}

// Report is what was found. Findings are in the order in which they are told.
type Report struct {
	File     string           `json:"file"`
	Verified bool             `json:"verified"`
	KeyID    string           `json:"keyId,omitempty"` // that signed; empty when that is not known
	KeyGiven bool             `json:"keyGiven"`        // it is the one that was asked for, not only the one in the receipt
	Findings []render.Finding `json:"findings"`
	Summary  []string         `json:"summary"`           // what the receipt says of the recording, in words
	Receipt  *render.Receipt  `json:"content,omitempty"` // nil when it could not be read
}

// The findings that are not of Compare.
const (
	FindSignature = "signature"
	FindJournal   = "journal"
)

// Run verifies. What does not agree is in the report; the error is one of
// reading, or ctx's.
func Run(ctx context.Context, o Options) (*Report, error) {
	data, err := readReceipt(o.Receipt)
	if err != nil {
		return nil, err
	}
	r := &Report{File: o.File, KeyGiven: o.Key != nil}
	content := r.signature(data, o.Key)
	files := []string{o.File}
	if o.Journal != "" {
		files = append(files, o.Journal)
	}
	p, err := newProgress(ctx, o.Progress, files...)
	if err != nil {
		return nil, err
	}
	if content == nil {
		return r, nil
	}
	r.Receipt, r.Summary = content, Summary(content)
	if err := r.file(p, o.File, content); err != nil {
		return nil, err
	}
	if o.Journal != "" {
		if err := r.journal(p, o.Journal, content); err != nil {
			return nil, err
		}
	}
	r.Verified = true
	for _, f := range r.Findings {
		r.Verified = r.Verified && f.Agree
	}
	return r, nil
}

func readReceipt(path string) (_ []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the receipt: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err := io.ReadAll(io.LimitReader(f, maxReceipt+1))
	if err != nil {
		return nil, fmt.Errorf("read the receipt %s: %w", path, err)
	}
	if len(data) > maxReceipt {
		return nil, fmt.Errorf("%s is no receipt: it has more than %d bytes", path, maxReceipt)
	}
	return data, nil
}

// signature looks at the receipt alone. It returns what the receipt says, also
// when that was changed, because the file can tell then which of them was; nil
// when it says nothing that could be compared.
func (r *Report) signature(data []byte, key receipt.PublicKey) *render.Receipt {
	find := render.Finding{What: FindSignature, Says: "an unchanged receipt"}
	document := data
	signed, err := receipt.Parse(data)
	if err == nil {
		document = signed.Document
		if key != nil {
			err = signed.VerifyBy(key)
		} else {
			err = signed.Verify()
		}
	}
	if err == nil {
		r.KeyID = signed.KeyID
	}
	if errors.Is(err, receipt.ErrForm) {
		document = nil // of what is no receipt, nothing is believed
	}
	content := decode(document)
	switch {
	case err != nil:
		find.Is = err.Error()
	case content == nil:
		find.Is = "signed JSON that is no receipt of a recording"
	case content.Version != render.ReceiptVersion:
		find.Is = fmt.Sprintf("version %d of it; this program knows version %d", content.Version, render.ReceiptVersion)
		content = nil
	default:
		find.Agree, find.Says = true, "unchanged since key "+r.KeyID+" signed it"
	}
	r.Findings = append(r.Findings, find)
	return content
}

// decode reads a receipt; nil is none.
func decode(document []byte) *render.Receipt {
	var content render.Receipt
	if document == nil || json.Unmarshal(document, &content) != nil || content.File.SHA256 == "" {
		return nil
	}
	return &content
}

// file compares the audio.
func (r *Report) file(p *progress, path string, content *render.Receipt) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the recording: %w", err)
	}
	defer f.Close() // nothing was written
	if other := content.File.Format; other != "" && other != voice.FormatWAV {
		return r.other(p.reader(f), path, content)
	}
	start := &head{r: p.reader(f)}
	findings, err := render.Compare(start, content)
	if err != nil {
		return fmt.Errorf("read the recording %s: %w", path, err)
	}
	for i := range findings {
		if is := start.kind(); findings[i].What == render.FindFormat && is != "" {
			findings[i].Is = is + ": this receipt is of the WAV file, from which others are made; `tapedeck recording render` makes one with a receipt of its own"
		}
	}
	r.Findings = append(r.Findings, findings...)
	return nil
}

// other compares a file that is no WAV file: its bytes as a whole.
func (r *Report) other(f io.Reader, path string, content *render.Receipt) error {
	size, sum, err := digest(f)
	if err != nil {
		return fmt.Errorf("read the recording %s: %w", path, err)
	}
	r.Findings = append(r.Findings,
		render.Finding{What: render.FindFormat, Agree: true, Says: string(content.File.Format) + ", compared as a whole"},
		compare(render.FindSize, fmt.Sprintf("%d bytes", content.File.Size), fmt.Sprintf("%d bytes", size)),
		compare(render.FindHash, content.File.SHA256, sum))
	return nil
}

// journal compares the journal that the file was made from.
func (r *Report) journal(p *progress, path string, content *render.Receipt) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the journal: %w", err)
	}
	defer f.Close() // nothing was written
	size, sum, err := digest(p.reader(f))
	if err != nil {
		return fmt.Errorf("read the journal %s: %w", path, err)
	}
	j := content.Journal
	r.Findings = append(r.Findings, compare(FindJournal, fmt.Sprintf("%d bytes, SHA-256 %s", j.Size, j.SHA256), fmt.Sprintf("%d bytes, SHA-256 %s", size, sum)))
	return nil
}

func compare(what, says, is string) render.Finding {
	f := render.Finding{What: what, Says: says, Agree: says == is}
	if !f.Agree {
		f.Is = is
	}
	return f
}

func digest(f io.Reader) (size int64, sum string, err error) {
	hash := sha256.New()
	size, err = io.Copy(hash, f)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

// head remembers how a file begins.
type head struct {
	r     io.Reader
	start []byte
}

func (h *head) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	if missing := 4 - len(h.start); missing > 0 {
		h.start = append(h.start, b[:min(n, missing)]...)
	}
	return n, err
}

// kind names formats of audio that are no WAV; empty when it is none of them.
func (h *head) kind() string {
	switch {
	case bytes.Equal(h.start, []byte("fLaC")):
		return "a FLAC file"
	case bytes.Equal(h.start, []byte("OggS")):
		return "an Ogg file"
	case bytes.HasPrefix(h.start, []byte("ID3")), len(h.start) > 1 && h.start[0] == 0xff && h.start[1]&0xe0 == 0xe0:
		return "an MP3 file"
	}
	return ""
}

// progress follows the reading of several files, and ends it with ctx.
type progress struct {
	ended       func() error // of the context
	show        func(done, total int64)
	done, total int64
}

func newProgress(ctx context.Context, show func(done, total int64), files ...string) (*progress, error) {
	p := &progress{ended: ctx.Err, show: show}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("verify: %w", err)
		}
		if info.IsDir() {
			return nil, fmt.Errorf("verify: %s is a directory, no file", path)
		}
		p.total += info.Size()
	}
	return p, nil
}

func (p *progress) reader(f io.Reader) io.Reader { return &followed{p, f} }

type followed struct {
	p *progress
	r io.Reader
}

func (f *followed) Read(b []byte) (int, error) {
	if err := f.p.ended(); err != nil {
		return 0, err
	}
	n, err := f.r.Read(b)
	f.p.done += int64(n)
	if f.p.show != nil {
		f.p.show(min(f.p.done, f.p.total), f.p.total)
	}
	return n, err
}
