package journal

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// Writer appends blocks to a journal. Each Append is one write to the file. An
// Append that failed can be tried again: it writes to the same place, over
// whatever part of it came to the file.
type Writer struct {
	path  string
	file  File
	salt  uint32
	seq   uint32
	off   int64
	head  []byte // body of the header block
	block *Block // of Packet, Report and Control
}

// Create makes the journal, which must not exist, and writes its header. Nil
// files are the operating system's. The file is not fsynced.
func Create(path string, h Header, files Files) (*Writer, error) {
	if files == nil {
		files = OS{}
	}
	head, err := json.Marshal(&h)
	if err != nil {
		return nil, fmt.Errorf("create journal %s: header: %w", path, err)
	}
	if len(head) > MaxDetail {
		return nil, fmt.Errorf("create journal %s: header of %d bytes, %d are possible", path, len(head), MaxDetail)
	}
	var salt [4]byte
	rand.Read(salt[:]) // never fails, see crypto/rand
	file, err := files.Create(path)
	if err != nil {
		return nil, fmt.Errorf("create journal %s: %w", path, err)
	}
	w := &Writer{path: path, file: file, salt: binary.LittleEndian.Uint32(salt[:]), head: head}
	start := make([]byte, preambleSize, preambleSize+frameSize+len(head))
	putPreamble(start)
	start = append(start, w.headerBlock()...)
	if _, err := file.WriteAt(start, 0); err != nil {
		file.Close()
		return nil, fmt.Errorf("create journal %s: %w", path, err)
	}
	w.off, w.seq = int64(len(start)), 1
	return w, nil
}

// headerBlock returns a header block with the next sequence number.
func (w *Writer) headerBlock() []byte {
	b := make([]byte, frameSize, frameSize+len(w.head))
	b = append(b, w.head...)
	w.seal(b, kindHeader)
	return b
}

func (w *Writer) seal(b []byte, kind byte) {
	f := frame{kind: kind, salt: w.salt, seq: w.seq, length: uint32(len(b) - frameSize), crc: checksum(b[frameSize:])}
	f.put(b)
}

// Append writes the block. The block can be used again afterwards. An empty
// block is not written.
func (w *Writer) Append(b *Block) error {
	if b.Len() == 0 {
		return nil
	}
	w.seal(b.buf, kindEntries)
	return w.write(b.buf)
}

// Restate writes the header again, for readers to whom the first one is lost.
func (w *Writer) Restate() error { return w.write(w.headerBlock()) }

func (w *Writer) write(b []byte) error {
	if _, err := w.file.WriteAt(b, w.off); err != nil {
		return fmt.Errorf("append to journal %s: %w", w.path, err)
	}
	w.off += int64(len(b))
	w.seq++
	return nil
}

// Packet puts a packet entry into the writer's own block, and writes that block
// when it is full. Flush writes the rest.
func (w *Writer) Packet(at time.Duration, track uint16, p *Packet) error {
	return w.put(func(b *Block) bool { return b.Packet(at, track, p) })
}

// Report puts a sender report entry into the writer's own block.
func (w *Writer) Report(at time.Duration, track uint16, r *SenderReport) error {
	return w.put(func(b *Block) bool { return b.Report(at, track, r) })
}

// Digit puts a digit entry into the writer's own block.
func (w *Writer) Digit(at time.Duration, track uint16, d *Digit) error {
	return w.put(func(b *Block) bool { return b.Digit(at, track, d) })
}

// Control puts a control entry into the writer's own block.
func (w *Writer) Control(e Entry) error {
	encoded, err := Encode(&e)
	if err != nil {
		return err
	}
	return w.put(func(b *Block) bool { return b.Encoded(encoded) })
}

func (w *Writer) put(into func(*Block) bool) error {
	if w.block == nil {
		w.block = NewBlock(MaxBody)
	}
	if into(w.block) {
		return nil
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !into(w.block) {
		return fmt.Errorf("append to journal %s: entry does not fit a block of %d bytes", w.path, MaxBody)
	}
	return nil
}

// Flush writes the writer's own block.
func (w *Writer) Flush() error {
	if w.block == nil {
		return nil
	}
	if err := w.Append(w.block); err != nil {
		return err
	}
	w.block.Reset()
	return nil
}

// Size is how many bytes were written.
func (w *Writer) Size() int64 { return w.off }

// Path is where the journal is.
func (w *Writer) Path() string { return w.path }

// Sync makes what was written safe on disk. It may run beside Append.
func (w *Writer) Sync() error {
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("sync journal %s: %w", w.path, err)
	}
	return nil
}

// Close flushes the writer's own block and closes the file, without Sync.
func (w *Writer) Close() error {
	err := w.Flush()
	if cerr := w.file.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("close journal %s: %w", w.path, cerr)
	}
	return err
}
