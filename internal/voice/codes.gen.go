// Code generated from api/errors.yaml; DO NOT EDIT.

package voice

// Code identifies an error to programs. The list is api/errors.yaml.
type Code string

// The error codes.
const (
	CodeInvalidJSON          Code = "invalid_json"           // 400
	CodeInvalidParameter     Code = "invalid_parameter"      // 400
	CodeCallNotActive        Code = "call_not_active"        // 400
	CodeCallNotInState       Code = "call_not_in_state"      // 400
	CodeRecordingNotActive   Code = "recording_not_active"   // 400
	CodeUnauthorized         Code = "unauthorized"           // 401
	CodeForbidden            Code = "forbidden"              // 403
	CodeNotFound             Code = "not_found"              // 404
	CodeMethodNotAllowed     Code = "method_not_allowed"     // 405
	CodeConflict             Code = "conflict"               // 409
	CodeRenderFailed         Code = "render_failed"          // 409
	CodeJournalGone          Code = "journal_gone"           // 410
	CodeEventsGone           Code = "events_gone"            // 410
	CodePreconditionFailed   Code = "precondition_failed"    // 412
	CodeBodyTooLarge         Code = "body_too_large"         // 413
	CodeUnsupportedMedia     Code = "unsupported_media"      // 415
	CodeRangeNotSatisfiable  Code = "range_not_satisfiable"  // 416
	CodeValidationFailed     Code = "validation_failed"      // 422
	CodeIdempotencyKeyReused Code = "idempotency_key_reused" // 422
	CodeTooManyRequests      Code = "too_many_requests"      // 429
	CodeInternal             Code = "internal"               // 500
	CodeFormatUnavailable    Code = "format_unavailable"     // 501
	CodeSpeechUnavailable    Code = "speech_unavailable"     // 501
	CodeNotReady             Code = "not_ready"              // 503
	CodeUnavailable          Code = "unavailable"            // 503
)

// Status returns the HTTP status that goes with the code. A code that is not in
// the list is a fault of the server.
func (c Code) Status() int {
	switch c {
	case CodeInvalidJSON:
		return 400
	case CodeInvalidParameter:
		return 400
	case CodeCallNotActive:
		return 400
	case CodeCallNotInState:
		return 400
	case CodeRecordingNotActive:
		return 400
	case CodeUnauthorized:
		return 401
	case CodeForbidden:
		return 403
	case CodeNotFound:
		return 404
	case CodeMethodNotAllowed:
		return 405
	case CodeConflict:
		return 409
	case CodeRenderFailed:
		return 409
	case CodeJournalGone:
		return 410
	case CodeEventsGone:
		return 410
	case CodePreconditionFailed:
		return 412
	case CodeBodyTooLarge:
		return 413
	case CodeUnsupportedMedia:
		return 415
	case CodeRangeNotSatisfiable:
		return 416
	case CodeValidationFailed:
		return 422
	case CodeIdempotencyKeyReused:
		return 422
	case CodeTooManyRequests:
		return 429
	case CodeInternal:
		return 500
	case CodeFormatUnavailable:
		return 501
	case CodeSpeechUnavailable:
		return 501
	case CodeNotReady:
		return 503
	case CodeUnavailable:
		return 503
	}
	return 500
}

// Codes lists every error code.
func Codes() []Code {
	return []Code{
		CodeInvalidJSON,
		CodeInvalidParameter,
		CodeCallNotActive,
		CodeCallNotInState,
		CodeRecordingNotActive,
		CodeUnauthorized,
		CodeForbidden,
		CodeNotFound,
		CodeMethodNotAllowed,
		CodeConflict,
		CodeRenderFailed,
		CodeJournalGone,
		CodeEventsGone,
		CodePreconditionFailed,
		CodeBodyTooLarge,
		CodeUnsupportedMedia,
		CodeRangeNotSatisfiable,
		CodeValidationFailed,
		CodeIdempotencyKeyReused,
		CodeTooManyRequests,
		CodeInternal,
		CodeFormatUnavailable,
		CodeSpeechUnavailable,
		CodeNotReady,
		CodeUnavailable,
	}
}
