// Package dtmf hears the keys of a telephone in audio: two tones at once, one of four
// low and one of four high ones (ITU-T Q.23), told apart from speech as Q.24 asks.
//
//	frames of PCM → Detector (Goertzel) → keys, each once
//
// media feeds it what a party says who cannot send its keys beside the audio. It is
// pure: no I/O, no goroutine, and nothing is allocated after New. It never knows what
// the keys are for.
package dtmf
