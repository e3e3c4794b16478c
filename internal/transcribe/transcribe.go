package transcribe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tapedeck/internal/archive"
	"tapedeck/internal/audio"
	"tapedeck/internal/blob"
	"tapedeck/internal/jobs"
	"tapedeck/internal/speech"
	"tapedeck/internal/store"
	"tapedeck/internal/vad"
	"tapedeck/internal/voice"
	"tapedeck/internal/wav"
)

// Options are what a Transcriber works with. DB and Archive are needed.
type Options struct {
	DB      *store.DB
	Archive *archive.Archive
	// By is what understands; nil = nothing does.
	By speech.Recognizer

	Logger     *slog.Logger          // nil = discard
	Registerer prometheus.Registerer // nil = no metrics
}

// maxAttempts is how often a transcription is tried: with the runner's waits, which
// double from a second, for a minute. An engine that is broken stays so, and a
// transcription can be asked for again.
const maxAttempts = 6

// Transcriber makes transcriptions. Its methods may be called from any goroutine.
type Transcriber struct {
	o    Options
	made *prometheus.CounterVec
}

// New makes a Transcriber.
func New(o Options) (*Transcriber, error) {
	if o.DB == nil || o.Archive == nil {
		return nil, errors.New("transcribe: DB and Archive are needed")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Transcriber{o: o, made: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tapedeck_transcribe_made_total", Help: "Transcriptions that came to their end, by how it went.",
	}, []string{"result"})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(t.made)
	}
	return t, nil
}

// CanTranscribe reports why speech in a locale cannot be written down, as a
// *voice.Error.
func (t *Transcriber) CanTranscribe(locale string) error {
	if t.o.By == nil {
		return &voice.Error{Code: voice.CodeSpeechUnavailable, Message: "This server has nothing that understands speech"}
	}
	if there := t.o.By.Locales(); !slices.Contains(there, locale) {
		return voice.NotServed("locale", locale, there)
	}
	return nil
}

// Transcribe is the handler of voice.JobTranscribe. One that was broken off by a
// restart begins anew.
func (t *Transcriber) Transcribe(ctx context.Context, job store.Job) error {
	ws, id, err := voice.SplitTranscriptionRef(job.Ref)
	if err != nil {
		return jobs.Permanent(err)
	}
	var in voice.Transcription
	var rec voice.Recording
	err = t.o.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if in, err = tx.Transcription(ws, id); err != nil {
			return err
		}
		if rec, err = tx.Recording(ws, in.Recording); err != nil || in.Status.Terminal() {
			return err
		}
		switch rec.Status {
		case voice.RecordingAvailable:
			in.Status = voice.TranscriptionOngoing
		case voice.RecordingAbsent, voice.RecordingFailed:
			in.Status = voice.TranscriptionAbsent
		default:
			return fmt.Errorf("recording %s is still %s", rec.ID, rec.Status)
		}
		in.UpdatedAt = time.Now().UTC()
		return tx.PutTranscription(in)
	})
	if voice.CodeOf(err) == voice.CodeNotFound {
		return jobs.Permanent(fmt.Errorf("transcription %s: %w", job.Ref, err))
	}
	if err != nil || in.Status.Terminal() {
		return err
	}
	in.Segments, err = t.listen(ctx, rec, in.Locale)
	if err != nil && ctx.Err() != nil {
		return err // broken off: it is done again
	}
	return t.settle(ctx, in, job.Attempts, err)
}

// settle writes down how it went, unless the recording was deleted meanwhile: that
// has said already that there is nothing.
func (t *Transcriber) settle(ctx context.Context, in voice.Transcription, attempts int, cause error) error {
	again := false
	switch {
	case cause == nil:
		in.Status, in.Problem, in.Summary = voice.TranscriptionAvailable, "", summary(in.Segments)
	case attempts >= maxAttempts || cannot(cause):
		in.Status, in.Problem = voice.TranscriptionFailed, problem(cause)
	default:
		again = true
		in.Status, in.Problem = voice.TranscriptionAccepted, problem(cause)
	}
	in.UpdatedAt = time.Now().UTC()
	err := t.o.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Transcription(in.Workspace, in.ID)
		if err != nil || now.Status.Terminal() {
			again = false
			return err
		}
		return tx.PutTranscription(in)
	})
	if err != nil {
		return errors.Join(cause, err)
	}
	if again {
		return cause
	}
	t.made.WithLabelValues(string(in.Status)).Inc()
	log := t.o.Logger.With("recording", in.Recording, "transcription", in.ID, "locale", in.Locale)
	if cause != nil {
		log.Error("transcription failed", "attempts", attempts, "error", cause)
	} else {
		log.Info("transcription available", "segments", len(in.Segments))
	}
	return nil
}

// cannot reports whether trying again cannot help.
func cannot(err error) bool {
	return voice.CodeOf(err) != voice.CodeInternal || errors.Is(err, wav.ErrFormat) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, blob.ErrNotExist)
}

// problem says for the users of the API why there is no text.
func problem(err error) string {
	var e *voice.Error
	switch {
	case errors.As(err, &e) && len(e.Details["locale"]) > 0:
		return "the locale " + e.Details["locale"][0]
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, wav.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		return "the WAV master is damaged"
	case errors.Is(err, blob.ErrNotExist):
		return "the file is missing from the storage"
	case errors.Is(err, errEngine):
		return "the speech engine met a fault that the server's log describes"
	}
	return "the server met a fault that its log describes"
}

// errEngine marks what the recognizer says.
var errEngine = errors.New("speech engine")

// listen goes through the file once.
func (t *Transcriber) listen(ctx context.Context, rec voice.Recording, locale string) (all []voice.Segment, err error) {
	if err := t.CanTranscribe(locale); err != nil {
		return nil, err
	}
	f, _, err := t.o.Archive.Open(ctx, rec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, err := wav.NewReader(f)
	if err != nil {
		return nil, err
	}
	channels := r.Format().Channels
	sides := make([]*side, channels)
	for i := range sides {
		to := audio.NewResampler(r.Format().SampleRate, vad.Rate)
		sides[i] = &side{to: to, cutter: cutter{emit: func(p piece) error {
			words, err := t.o.By.Recognize(ctx, p.clip, locale)
			if err != nil {
				return fmt.Errorf("%w %s: %w", errEngine, t.o.By.Name(), err)
			}
			all = append(all, segments(p, i, words)...)
			return nil
		}}}
	}
	buf := make([]int16, 4096*channels)
	for {
		n, err := r.Read(buf)
		if errors.Is(err, io.EOF) {
			break
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, err
		}
		for i, s := range sides {
			if err := s.feed(buf[:n], i, channels); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range sides {
		if err := s.end(); err != nil {
			return nil, err
		}
	}
	return sorted(all), nil
}

// side is one channel of a file.
type side struct {
	to     *audio.Resampler
	mine   []int16
	at     []int16 // at vad.Rate
	cutter cutter
}

// feed takes the channel's own samples out of interleaved ones.
func (s *side) feed(pcm []int16, channel, channels int) error {
	s.mine = s.mine[:0]
	for i := channel; i < len(pcm); i += channels {
		s.mine = append(s.mine, pcm[i])
	}
	s.at = s.to.Process(s.at[:0], s.mine)
	return s.cutter.feed(s.at)
}

func (s *side) end() error {
	if err := s.cutter.feed(s.to.Flush(s.at[:0])); err != nil {
		return err
	}
	return s.cutter.end()
}
