// Package transcribe writes down what is said in recordings.
//
//	job → WAV master of the archive → each channel at 16 kHz → pieces between pauses →
//	speech.Recognizer → words with their times → segments → database
//
// jobs runs it, so that what was asked for is done also across a restart. A
// recording of hours is never in memory: one piece of each channel is. It asks one
// thing of the recognizer at a time and starts no goroutine.
package transcribe
