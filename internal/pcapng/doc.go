// Package pcapng writes captures of UDP packets in the pcapng format
// (draft-ietf-opsawg-pcapng), which Wireshark and tshark read.
//
//	Stream (who to whom) → Writer.Stream (interface block) → Writer.Packet (IP, UDP, payload) → io.Writer
//
// Called by the command that turns a journal into a capture. It knows nothing of
// journals, RTP or SIP: payloads are bytes. It keeps nothing in memory but one
// packet, and starts no goroutine.
package pcapng
