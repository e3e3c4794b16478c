package demo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"tapedeck/client"
	"tapedeck/internal/audio"
	"tapedeck/internal/audio/compare"
	"tapedeck/internal/server"
	"tapedeck/internal/verify"
	"tapedeck/internal/wav"
)

// What a recording must be.
const (
	minCorrelation = 0.99                  // of each side with what its party said, after alignment
	maxCrossTalk   = -60.0                 // dB, of the other party against the own one
	maxOffset      = 5 * time.Millisecond  // between sides that began to speak together; the aim is one, but on a busy machine one side may always be sent later
	maxLength      = 20 * time.Millisecond // beyond the time from command to hangup
	maxAvailable   = 5 * time.Second       // from hangup to file; the aim is one second, a busy machine is no failure
)

// Side is one side of the recording, judged.
type Side struct {
	Name        string
	Level       audio.Level
	Correlation float64
	CrossTalk   float64 // dB
	Lag         float64 // samples of the file before the party's first word
}

// Result is what came of a demo.
type Result struct {
	Conversation string
	Ready        server.Ready
	Path         string // of the recording
	ReceiptPath  string
	KeyPath      string // of the public key that receipts are verified with
	Data         string // of the server, when it was kept
	Recording    *client.Recording
	Receipt      *client.Receipt
	Proof        *verify.Report

	AvailableAfter    time.Duration // from the hangup
	Shortest, Longest time.Duration // from the command to record to the hangup: between these
	Length            time.Duration // of the file
	Offset            time.Duration // between left and right, that should not be there
	Sides             [2]Side       // left, right
	Hash              string        // SHA-256 of the file as it was fetched

	wav   []byte
	lanes [2][]int16
	rate  int
	said  [2][]int16
	began [2]time.Duration
}

// measure reads the file and compares it with what was said.
func (r *Result) measure() error {
	sum := sha256.Sum256(r.wav)
	r.Hash = hex.EncodeToString(sum[:])
	in, err := wav.NewReader(bytes.NewReader(r.wav))
	if err != nil {
		return err
	}
	if in.Format() != (wav.Format{SampleRate: 8000, Channels: 2}) {
		return fmt.Errorf("the recording has %d channels of %d Hz, expected 2 of 8000", in.Format().Channels, in.Format().SampleRate)
	}
	pcm := make([]int16, 2*in.Frames())
	for n := 0; n < len(pcm); {
		k, err := in.Read(pcm[n:])
		if n += k; err != nil && !(errors.Is(err, io.EOF) && n == len(pcm)) {
			return err
		}
	}
	r.rate = in.Format().SampleRate
	r.Length = time.Duration(in.Frames()) * time.Second / time.Duration(r.rate)
	for i := range r.lanes {
		r.lanes[i] = make([]int16, in.Frames())
		for k := range r.lanes[i] {
			r.lanes[i][k] = pcm[2*k+i]
		}
	}
	for i, name := range []string{"caller", "callee"} {
		m := compare.Align(r.said[i], r.lanes[i])
		r.Sides[i] = Side{
			Name: name, Level: audio.Measure(r.lanes[i]), Correlation: m.Correlation, Lag: m.Lag,
			CrossTalk: compare.CrossTalk(r.lanes[i], r.said[i], r.said[1-i]),
		}
	}
	apart := time.Duration((r.Sides[1].Lag - r.Sides[0].Lag) * float64(time.Second) / float64(r.rate))
	r.Offset = apart - (r.began[1] - r.began[0])
	return nil
}

// Judge says everything that is not as it must be; nil when all is well.
func (r *Result) Judge() error {
	var faults []error
	fault := func(wrong bool, format string, a ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, a...))
		}
	}
	for _, s := range r.Sides {
		fault(!(s.Correlation >= minCorrelation), "the %s's side is not what was said: correlation %.4f, at least %g is needed", s.Name, s.Correlation, minCorrelation)
		fault(!(s.CrossTalk < maxCrossTalk), "the other party is on the %s's side: %.1f dB, below %g is needed", s.Name, s.CrossTalk, maxCrossTalk)
		fault(math.IsInf(s.Level.RMS, -1), "the %s's side is silent", s.Name)
	}
	fault(r.Offset.Abs() > maxOffset, "the sides are %s apart, %s is allowed", r.Offset, maxOffset)
	fault(r.Length < r.Shortest-maxLength || r.Length > r.Longest+maxLength,
		"the file is %s long, the call was recorded for %s to %s", r.Length, r.Shortest, r.Longest)
	fault(r.AvailableAfter > maxAvailable, "the file was there %s after the hangup, %s is allowed", r.AvailableAfter, maxAvailable)
	fault(r.Hash != r.Recording.SHA256 || r.Hash != r.Receipt.File.SHA256, "the file is not the one of the receipt: its hash is %s", r.Hash)
	fault(!r.Proof.Verified, "the file and its receipt are not verified: %s", strings.Join(r.Proof.Faults(), ", "))
	fault(!r.Receipt.Complete, "the receipt says that the recording is not complete")
	fault(len(r.Receipt.Tracks) < 2, "the receipt knows of %d tracks, two are needed", len(r.Receipt.Tracks))
	for _, t := range r.Receipt.Tracks {
		fault(t.Lost > 0 || t.NoMedia, "track %s lost %d of %d packets", t.Party, t.Lost, t.Received+t.Lost)
	}
	return errors.Join(faults...)
}
