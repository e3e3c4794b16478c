// Package subtitle writes what was said as text that people read and players show:
// plain lines, SubRip (.srt) and WebVTT (.vtt).
//
//	[]voice.Segment → bytes
//
// httpapi answers with it. It is pure, and knows nothing of where the words come
// from.
package subtitle
