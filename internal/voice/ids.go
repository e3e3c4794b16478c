package voice

import "fmt"

// Identifiers are UUIDs in their canonical lower-case text form. Each noun has
// a type of its own so that a call's id cannot be handed over as a channel's.
type (
	// WorkspaceID names a tenant.
	WorkspaceID string
	// ChannelID names a voice channel: a number or trunk of a workspace.
	ChannelID string
	// CallID names a call, which is one leg with its history.
	CallID string
	// RecordingID names one request to keep audio.
	RecordingID string
	// CommandID names one accepted command.
	CommandID string
	// FlowID names one accepted call flow.
	FlowID string
	// TranscriptionID names what was said in a recording.
	TranscriptionID string
	// MediaID names an uploaded audio file.
	MediaID string
	// EventID names one event; receivers know by it what they have had.
	EventID string
	// SubscriptionID names a webhook subscription.
	SubscriptionID string
	// DeliveryID names one event on its way to one receiver.
	DeliveryID string
	// KeyID names an access key; it is not the secret.
	KeyID string
)

// CanonicalID checks that s is a UUID (RFC 9562 §4) and returns it in lower
// case. The error says what is wrong with it.
func CanonicalID(s string) (string, error) {
	if len(s) != 36 {
		return "", fmt.Errorf("a UUID has 36 characters, this has %d", len(s))
	}
	out := make([]byte, 36)
	for i := range 36 {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return "", fmt.Errorf("a UUID has a hyphen at position %d", i+1)
			}
		case c >= 'A' && c <= 'F':
			c += 'a' - 'A'
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return "", fmt.Errorf("a UUID has hexadecimal digits only, position %d has %q", i+1, c)
		}
		out[i] = c
	}
	return string(out), nil
}
