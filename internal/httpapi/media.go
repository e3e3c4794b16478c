package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"tapedeck/internal/control"
	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func (v *verbs) UploadMedia(ctx context.Context, in openapi.UploadMediaRequestObject) (openapi.UploadMediaResponseObject, error) {
	q := of(ctx)
	m, err := v.control.UploadMedia(ctx, q.who, voice.WorkspaceID(in.WorkspaceID), given(in.Params.Name), in.Body, q.once)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &voice.Error{Code: voice.CodeBodyTooLarge, Message: "The file has more than 64 MiB"}
	}
	var broken *uploadError
	if errors.As(err, &broken) {
		return nil, &voice.Error{Code: voice.CodeInvalidParameter, Message: "The file could not be read to its end", Err: err}
	}
	if err != nil {
		return nil, err
	}
	return openapi.UploadMedia201JSONResponse(media(&m)), nil
}

func (v *verbs) ListMedia(ctx context.Context, in openapi.ListMediaRequestObject) (openapi.ListMediaResponseObject, error) {
	files, next, err := v.control.MediaList(ctx, of(ctx).who, voice.WorkspaceID(in.WorkspaceID), page(in.Params.Limit, in.Params.PageToken, 10))
	if err != nil {
		return nil, err
	}
	return openapi.ListMedia200JSONResponse{Results: list(files, media), NextPageToken: some(next)}, nil
}

func (v *verbs) GetMedia(ctx context.Context, in openapi.GetMediaRequestObject) (openapi.GetMediaResponseObject, error) {
	m, err := v.control.MediaFile(ctx, of(ctx).who, ofMedia(in.WorkspaceID, in.MediaID))
	if err != nil {
		return nil, err
	}
	return openapi.GetMedia200JSONResponse(media(&m)), nil
}

func (v *verbs) DeleteMedia(ctx context.Context, in openapi.DeleteMediaRequestObject) (openapi.DeleteMediaResponseObject, error) {
	if err := v.control.DeleteMedia(ctx, of(ctx).who, ofMedia(in.WorkspaceID, in.MediaID)); err != nil {
		return nil, err
	}
	return openapi.DeleteMedia204Response{}, nil
}

func ofMedia(ws, id string) control.Target {
	return control.Target{Workspace: voice.WorkspaceID(ws), Media: voice.MediaID(id)}
}

// media is an uploaded file as the API shows it.
func media(m *voice.Media) openapi.Media {
	return openapi.Media{
		ID: string(m.ID), Name: some(m.Name), ContentType: openapi.MediaContentType(m.ContentType),
		Size: m.Size, Sha256: m.SHA256, DurationMs: m.Duration.Milliseconds(), CreatedAt: openapi.Time{Time: m.CreatedAt},
	}
}

// upload is a body that is a file. It gives its sender time anew for every piece:
// a large file is no slow client.
type upload struct {
	body    io.ReadCloser
	control *http.ResponseController
	until   time.Time // it must have come
}

// uploadTime is how long a file may come in, however slowly.
const uploadTime = 15 * time.Minute

// uploadError marks what went wrong with the sender.
type uploadError struct{ error }

func (b *uploadError) Unwrap() error { return b.error }

// newUpload is the body of a request, up to the largest file.
func newUpload(w http.ResponseWriter, r *http.Request) *upload {
	return &upload{body: http.MaxBytesReader(w, r.Body, voice.MaxMediaSize), control: http.NewResponseController(w), until: time.Now().Add(uploadTime)}
}

// Read takes a piece.
func (u *upload) Read(b []byte) (int, error) {
	now := time.Now()
	by := now.Add(readTime)
	if by.After(u.until) {
		by = u.until
	}
	for _, more := range []error{u.control.SetReadDeadline(by), u.control.SetWriteDeadline(now.Add(writeTime))} {
		if more != nil && !errors.Is(more, http.ErrNotSupported) {
			return 0, &uploadError{more}
		}
	}
	n, err := u.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &uploadError{err}
	}
	return n, err
}

// Close is of the request's own body, which the server closes.
func (u *upload) Close() error { return u.body.Close() }
