// Package codec knows the audio codecs by their SDP names and makes decoders
// and encoders of them.
//
// IO flow: payload of one RTP packet → Decoder → 16-bit PCM → Encoder → payload.
//
// Called by sdp (names and numbers), media (transcoding) and render (decoding of
// journals). Never does I/O, never starts a goroutine, never logs. The codecs
// themselves live in sub-packages which import nothing of this one; the
// constructors are here.
package codec
