// Package vad tells speech from silence, and people from machines.
//
//	20 ms frames of a party at 16 kHz → Detector → speech or silence, and for how long
//	                                  → Machine  → who answers a call, and a machine's tone
//
// It is used by session, whose commands end at a party's silence and whose calls want
// to know who answers, and by transcribe. It is pure: it counts time in the frames that
// it is fed, and allocates nothing for them.
package vad
