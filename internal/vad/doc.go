// Package vad tells speech from silence.
//
//	20 ms frames of a party at 16 kHz → Detector → speech or silence, and for how long
//
// It is used by session, whose commands end at a party's silence. It is pure: it
// counts time in the frames that it is fed, and allocates nothing.
package vad
