package publish

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"tapedeck/internal/archive"
	"tapedeck/internal/blob"
	"tapedeck/internal/render"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// problem says in words for the users of the API why a file could not be made.
// Paths and the like stay in the log.
func problem(err error) string {
	switch {
	case voice.CodeOf(err) == voice.CodeUnavailable:
		return "the disk has no room"
	case errors.Is(err, errNoJournal) && errors.Is(err, fs.ErrNotExist):
		return "the journal is missing"
	case errors.Is(err, errNoJournal):
		return "the journal is damaged beyond reading"
	case errors.Is(err, render.ErrNotBegun):
		return "nothing was captured"
	case errors.Is(err, render.ErrFormatUnavailable):
		return "the format cannot be made on this server: a library of its system is missing"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "the disk is full"
	case errors.Is(err, syscall.EIO):
		return "the disk has a fault"
	case errors.Is(err, archive.ErrMismatch), errors.Is(err, blob.ErrMismatch):
		return "the file in the storage is not what was written"
	case errors.Is(err, wav.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		return "the WAV master is damaged"
	case errors.Is(err, blob.ErrNotExist):
		return "the file is missing from the storage"
	}
	return "the server met a fault that its log describes"
}

// damaged reports whether an error says that the stored file is not the one that
// was stored, and not merely out of reach.
func damaged(err error) bool {
	return errors.Is(err, archive.ErrMismatch) || errors.Is(err, blob.ErrNotExist)
}
