// Package speech turns text into speech and speech into text, by engines that
// others have made.
//
//	text → Synthesizer → audio.Clip
//	what somebody said, as a clip → Recognizer → words with their times
//
//	flite, espeak-ng:   text by standard input → WAV file       pocketsphinx: samples by standard input → lines
//	service:            POST …/v1/audio/speech → WAV            POST …/v1/audio/transcriptions → JSON
//
// An engine is a program of this machine or a service that is reached by HTTP;
// both stand behind the same two interfaces. The server has Find look for them at
// its start and hands them to who needs them. An engine may take seconds: who must
// not wait asks from a goroutine of its own. Programs run one by one in the places
// that Work has for them, without a shell, and are killed when their time is over or
// nobody wants their answer. It knows nothing of calls and starts no goroutine.
package speech
