// Package speech turns text into speech and speech into text, by engines that
// others have made.
//
//	text → Synthesizer → audio.Clip          audio.Clip → Recognizer → words with their times
//
// An engine is a program of this machine or a service that is reached by HTTP;
// both stand behind the same two interfaces. The server chooses them at its start
// and hands them to who needs them. An engine may take seconds: who must not wait
// asks from a goroutine of its own. It knows nothing of calls.
package speech
