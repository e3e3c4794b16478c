// Package opus decodes and encodes Opus (RFC 6716) at 48 kHz, and reads what a
// packet says of itself without decoding it.
//
//	payload → Parse → Packet (mode, length, frames)
//	payload → Decoder → 16-bit PCM → Encoder → payload
//
// The decoder is the system's libopus where it is installed, with its concealment
// of losses and its use of in-band FEC; elsewhere it is pion/opus in Go, which
// has neither. The encoder is libopus only. codec makes both by SDP name; render
// makes .ogg files with the encoder. It imports nothing of codec, does no I/O,
// starts no goroutine and never logs. It is the only home of pion/opus.
//
// The states of libopus lie in Go's memory: they hold no pointers into it, C has
// them only during a call, and the garbage collector frees them. So nothing here
// needs closing.
package opus
