// Package demo is the main job in one run: it starts a server on free loopback
// ports, lets two built-in parties with real speech call each other through it,
// records them in stereo by the HTTP command, and judges the file against what
// was said.
//
//	speech → parties → server → recording by HTTP → judgement, picture
//
// The command demo calls it, and so does its own test. It must treat the
// server as any client does: SIP, RTP, HTTP and bootstrap.json, nothing else.
// It owns the goroutines of the server and of the parties and waits for them.
package demo
