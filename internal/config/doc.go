// Package config is the server's configuration: one struct, its defaults, and
// where its values come from.
//
//	defaults ← YAML file ← TAPEDECK_… environment ← flags → Load → Config
//
// Only package server imports it; it hands each engine the options it needs. A
// value is checked where it comes in, and an unknown name is an error wherever
// it stands. It imports nothing of ours and starts nothing.
package config
