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
	CodeBodyTooLarge         Code = "body_too_large"         // 413
	CodeValidationFailed     Code = "validation_failed"      // 422
	CodeIdempotencyKeyReused Code = "idempotency_key_reused" // 422
	CodeTooManyRequests      Code = "too_many_requests"      // 429
	CodeInternal             Code = "internal"               // 500
	CodeUnavailable          Code = "unavailable"            // 503
)
