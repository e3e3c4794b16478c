package openapi

import (
	"fmt"
	"time"
)

// layout is RFC 3339 in UTC with exactly three digits of a second.
const layout = "2006-01-02T15:04:05.000Z"

// Time is a time as the API writes it: RFC 3339, UTC, milliseconds.
type Time struct{ time.Time }

// MarshalJSON writes the time, cut to the millisecond.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(layout) + `"`), nil
}

// UnmarshalJSON reads any RFC 3339 time.
func (t *Time) UnmarshalJSON(data []byte) error {
	if err := t.Time.UnmarshalJSON(data); err != nil {
		return fmt.Errorf("read a timestamp: %w", err)
	}
	return nil
}
