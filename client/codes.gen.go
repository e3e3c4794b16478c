// Code generated from api/errors.yaml; DO NOT EDIT.

package client

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
