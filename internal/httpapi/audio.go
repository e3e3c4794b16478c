package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) GetRecordingAudio(ctx context.Context, in openapi.GetRecordingAudioRequestObject) (openapi.GetRecordingAudioResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatWAV)
}

func (v *verbs) HeadRecordingAudio(ctx context.Context, in openapi.HeadRecordingAudioRequestObject) (openapi.HeadRecordingAudioResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatWAV)
}

func (v *verbs) GetRecordingFlac(ctx context.Context, in openapi.GetRecordingFlacRequestObject) (openapi.GetRecordingFlacResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatFLAC)
}

func (v *verbs) HeadRecordingFlac(ctx context.Context, in openapi.HeadRecordingFlacRequestObject) (openapi.HeadRecordingFlacResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatFLAC)
}

func (v *verbs) GetRecordingMp3(ctx context.Context, in openapi.GetRecordingMp3RequestObject) (openapi.GetRecordingMp3ResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatMP3)
}

func (v *verbs) HeadRecordingMp3(ctx context.Context, in openapi.HeadRecordingMp3RequestObject) (openapi.HeadRecordingMp3ResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatMP3)
}

func (v *verbs) GetRecordingOgg(ctx context.Context, in openapi.GetRecordingOggRequestObject) (openapi.GetRecordingOggResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatOgg)
}

func (v *verbs) HeadRecordingOgg(ctx context.Context, in openapi.HeadRecordingOggRequestObject) (openapi.HeadRecordingOggResponseObject, error) {
	return v.audio(ctx, ofRecording(in.WorkspaceID, in.RecordingID), voice.FormatOgg)
}

func (v *verbs) audio(ctx context.Context, t control.Target, format voice.AudioFormat) (*audioResponse, error) {
	q := of(ctx)
	audio, err := v.control.Audio(ctx, q.who, t, format)
	if err != nil {
		return nil, err
	}
	return &audioResponse{audio: audio, asked: q.http}, nil
}

// audioResponse is a file of audio, whole or in part, or only its header.
type audioResponse struct {
	audio *control.Audio
	asked *http.Request
}

func (a *audioResponse) VisitGetRecordingAudioResponse(w http.ResponseWriter) error {
	return a.serve(w)
}

func (a *audioResponse) VisitHeadRecordingAudioResponse(w http.ResponseWriter) error {
	return a.serve(w)
}

func (a *audioResponse) VisitGetRecordingFlacResponse(w http.ResponseWriter) error { return a.serve(w) }

func (a *audioResponse) VisitHeadRecordingFlacResponse(w http.ResponseWriter) error {
	return a.serve(w)
}

func (a *audioResponse) VisitGetRecordingMp3Response(w http.ResponseWriter) error { return a.serve(w) }

func (a *audioResponse) VisitHeadRecordingMp3Response(w http.ResponseWriter) error { return a.serve(w) }

func (a *audioResponse) VisitGetRecordingOggResponse(w http.ResponseWriter) error { return a.serve(w) }

func (a *audioResponse) VisitHeadRecordingOggResponse(w http.ResponseWriter) error { return a.serve(w) }

func (a *audioResponse) VisitGetRenderAudioResponse(w http.ResponseWriter) error { return a.serve(w) }

func (a *audioResponse) VisitHeadRenderAudioResponse(w http.ResponseWriter) error { return a.serve(w) }

// serve leaves ranges, conditions and HEAD (RFC 9110 §13, §14) to the standard
// library.
func (a *audioResponse) serve(w http.ResponseWriter) (err error) {
	defer func() { err = errors.Join(err, a.audio.Close()) }()
	h := w.Header()
	h.Set("Content-Type", a.audio.Format.ContentType())
	h.Set("Content-Disposition", `attachment; filename="`+a.audio.Name+`"`)
	if a.audio.SHA256 != "" {
		h.Set("ETag", `"`+a.audio.SHA256+`"`)
	}
	out := &stream{ResponseWriter: w, control: http.NewResponseController(w)}
	// Making the file may have taken most of the time that there was.
	if err := out.more(); err != nil {
		return err
	}
	http.ServeContent(out, plainRange(a.asked), "", a.audio.ModTime, a.audio)
	return nil
}

// maxRanges is how many parts of a file are given at once. A request line's
// worth of ranges could be thousands, each of them read from the storage by
// itself.
const maxRanges = 64

// plainRange returns the request with its Range as the standard library reads
// it. A unit other than bytes is left out, for it is to be ignored (RFC 9110
// §14.2) and would be refused; the case of a unit does not matter (§14.1). Too
// many ranges are ignored (§14.2, §17.15).
func plainRange(r *http.Request) *http.Request {
	asked := r.Header.Get("Range")
	unit, ranges, _ := strings.Cut(asked, "=")
	plain := ""
	if strings.EqualFold(unit, "bytes") && strings.Count(ranges, ",") < maxRanges {
		plain = "bytes=" + plainSpecs(ranges)
	}
	if plain == asked {
		return r
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	if plain != "" {
		r.Header.Set("Range", plain)
	}
	return r
}

const (
	manyDigits = 18                   // what fits 64 bits in any case
	farAway    = "999999999999999999" // no file has so many bytes
)

// plainSpecs leaves out ranges of the last 0 bytes, which cannot be satisfied
// (RFC 9110 §14.1.2), and shortens numbers that do not fit 64 bits: a position
// behind the end is the end, however far (§14.1.2).
func plainSpecs(ranges string) string {
	var kept []string
	none := false
	for spec := range strings.SplitSeq(ranges, ",") {
		spec = strings.TrimSpace(spec)
		first, last, ok := strings.Cut(spec, "-")
		switch {
		case !ok || !digits(first) || !digits(last): // for the standard library to refuse
		case first == "" && last != "" && strings.Trim(last, "0") == "":
			none = true
			continue
		default:
			spec = near(first) + "-" + near(last)
		}
		kept = append(kept, spec)
	}
	if none && len(kept) == 0 {
		return farAway + "-"
	}
	return strings.Join(kept, ",")
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

func near(number string) string {
	if short := strings.TrimLeft(number, "0"); len(short) > manyDigits {
		return farAway
	}
	return number
}

// stream gives a client time anew for every piece that it takes: a long file is
// no slow client.
type stream struct {
	http.ResponseWriter
	control *http.ResponseController
	whole   bool // there are no ranges
	refused bool
}

// WriteHeader gives the errors that ServeContent makes itself the shape of the
// others.
func (s *stream) WriteHeader(status int) {
	if s.whole {
		s.Header().Del("Accept-Ranges")
	}
	var p problem
	switch status {
	case http.StatusRequestedRangeNotSatisfiable:
		p = problem{Code: voice.CodeRangeNotSatisfiable, Message: "The range is outside the file"}
	case http.StatusPreconditionFailed:
		p = problem{Code: voice.CodePreconditionFailed, Message: "The file is not the one that If-Match or If-Unmodified-Since asks for"}
	case http.StatusInternalServerError: // the file cannot be read
		shown := internalError()
		p = problem{Code: shown.Code, Message: shown.Message}
	default:
		s.ResponseWriter.WriteHeader(status)
		return
	}
	s.refused = true
	h := s.Header()
	h.Set("Content-Type", "application/json")
	h.Del("Content-Length")
	h.Del("Content-Disposition")
	s.ResponseWriter.WriteHeader(status)
	body, err := json.Marshal(p)
	if err == nil {
		_, err = s.ResponseWriter.Write(body)
	}
	if err != nil {
		return // the client has gone; there is nobody to tell
	}
}

// Write sends a piece. It hides the connection's ReadFrom, which would send the
// whole file under one deadline.
func (s *stream) Write(b []byte) (int, error) {
	if s.refused {
		return len(b), nil
	}
	if err := s.more(); err != nil {
		return 0, err
	}
	return s.ResponseWriter.Write(b)
}

// more gives the client time for one more piece.
func (s *stream) more() error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
