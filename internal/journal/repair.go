package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Report says what a journal holds and what was wrong with it.
type Report struct {
	Path    string
	Size    int64 // bytes of the file, after a repair
	Torn    int64 // bytes after the last good block; Repair removes them
	Blocks  int64
	Entries int64
	Packets int64
	Corrupt []CorruptError // parts that cannot be read; at most 100 are listed
	Damaged int64          // how many such parts there are
	Lost    int64          // bytes in them
	Begun   bool           // capture began
	Ended   bool           // capture was stopped: the journal is whole
	Last    time.Duration  // of the last entry, since Header.Start
}

// maxListed bounds the list of corrupt parts in a report.
const maxListed = 100

// Inspect reads the whole journal and reports. It changes nothing.
func (r *Reader) Inspect() (Report, error) {
	if err := r.Rewind(); err != nil {
		return Report{}, err
	}
	rep := Report{Path: r.path}
	var e Entry
	for {
		err := r.Next(&e)
		var bad *CorruptError
		switch {
		case errors.Is(err, io.EOF):
			rep.Size = r.limit
			rep.Blocks, rep.Entries = r.stats.Blocks, r.stats.Entries
			rep.Damaged, rep.Lost = r.stats.Corrupt, r.stats.Lost
			rep.Torn = r.stats.Torn
			return rep, nil
		case errors.As(err, &bad):
			if len(rep.Corrupt) < maxListed {
				rep.Corrupt = append(rep.Corrupt, *bad)
			}
			continue
		case err != nil:
			return rep, err
		}
		switch e.Kind {
		case KindPacket:
			rep.Packets++
		case KindBegin:
			rep.Begun = true
		case KindStop:
			rep.Ended = true
		}
		rep.Last = max(rep.Last, e.At)
	}
}

// Repair cuts the torn tail off: everything after the last good block. Corrupt
// parts before it stay, readers skip them. A journal without a torn tail is not
// touched, so repairing twice is repairing once. It must not run while the
// journal is written. Watch is called with the bytes that were read, now and
// then; nil = nobody looks.
func Repair(path string, watch func(done, total int64)) (Report, error) {
	r, err := Open(path)
	if err != nil {
		return Report{Path: path}, fmt.Errorf("repair: %w", err)
	}
	r.watch = watch
	rep, err := r.Inspect()
	if err = errors.Join(err, r.Close()); err != nil {
		return rep, fmt.Errorf("repair: %w", err)
	}
	if rep.Torn == 0 {
		return rep, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return rep, fmt.Errorf("repair journal: %w", err)
	}
	rep.Size = r.stats.Good
	if err := errors.Join(f.Truncate(rep.Size), f.Sync(), f.Close()); err != nil {
		return rep, fmt.Errorf("repair journal: %w", err)
	}
	return rep, nil
}

// Ending reads a journal's header and, when it was closed properly, its last
// entry: the stop. It reads the two ends of the file only. A nil entry means
// that the journal is unfinished or damaged at its end.
func Ending(path string) (Header, *Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return Header{}, nil, fmt.Errorf("open journal: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Header{}, nil, fmt.Errorf("open journal: %w", err)
	}
	r, err := NewReader(f, info.Size(), path)
	if err != nil {
		return Header{}, nil, err
	}
	// Somewhere in as many bytes as the longest block has, the last one begins.
	r.start, r.end = 0, 0
	r.off = max(preambleSize, info.Size()-frameSize-MaxBody)
	var last []byte
	for {
		fr, body, err := r.find()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return r.header, nil, err
		}
		r.skip(frameSize + len(body))
		if last = nil; fr.salt == r.salt && fr.kind == kindEntries && r.off == r.limit {
			last = body
		}
	}
	return r.header, stopIn(last), nil
}

// stopIn returns the last entry of a block's body when it is the stop.
func stopIn(body []byte) *Entry {
	var e Entry
	for len(body) > 0 {
		n, err := decodeEntry(body, &e)
		if err != nil {
			return nil // damaged: the whole journal has to be read
		}
		body = body[n:]
	}
	if e.Kind != KindStop {
		return nil
	}
	return &e
}
