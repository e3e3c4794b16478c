//go:build !race

package calltest

const raceDetector = false
