#!/usr/bin/env bash
# Makes the two conversations of the demo from text. See README.md.
# Needs Debian's flite and sox. Gives the same bytes every time.
set -euo pipefail
cd "$(dirname "$0")"

rate=8000      # samples a second, telephone band
level=0.1      # RMS of each sentence: 0.1 of full scale = -20 dBFS
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# sentence OUT VOICE STRETCH TEXT: one sentence as 16-bit samples at -20 dBFS RMS, 300 to 3400 Hz.
sentence() {
  flite -voice "$2" --setf "duration_stretch=$3" -t "$4" -o "$work/raw.wav"
  sox -D "$work/raw.wav" -r $rate -c 1 -b 16 "$work/band.wav" \
    silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse highpass 300 highpass 300 lowpass 3400
  local rms
  rms=$(sox "$work/band.wav" -n stat 2>&1 | awk '/^RMS +amplitude/ {print $3}')
  sox -D "$work/band.wav" "$1" vol "$(awk -v want=$level -v have="$rms" 'BEGIN {printf "%.5f", want/have}')" amplitude 0.05
}

# conversation NAME CALLER_VOICE CALLEE_VOICE STRETCH_A STRETCH_B, with lines "party gap text" on standard input:
# gap is the pause in milliseconds after the sentence before; negative = speaks into it.
conversation() {
  local name=$1 voices=("$2" "$3") stretch=("$4" "$5") at=300 end=0 n=0 party gap text
  local -a caller=() callee=()
  while read -r party gap text; do
    local wav="$work/$name.$n.wav"
    sentence "$wav" "${voices[$party]}" "${stretch[$party]}" "$text"
    at=$((end + gap))
    end=$((at + $(soxi -s "$wav") * 1000 / rate))
    sox -D "$wav" "$work/$name.$n.pad.wav" pad "$(awk -v ms=$at 'BEGIN {printf "%.3f", ms/1000}')"
    if [ "$party" = 0 ]; then caller+=("$work/$name.$n.pad.wav"); else callee+=("$work/$name.$n.pad.wav"); fi
    n=$((n + 1))
  done
  # Both files have the same length: whole frames of 20 ms, with 300 ms of silence at the end.
  local samples=$(((end + 300 + 19) / 20 * 160))
  sox -D -r $rate -n -c 1 -b 16 "$work/silence.wav" trim 0 "${samples}s"
  for side in caller callee; do
    local -n parts=$side
    local -a inputs=(-v 1 "$work/silence.wav") # the longest one: it gives the mix its length
    for wav in "${parts[@]}"; do inputs+=(-v 1 "$wav"); done
    sox -D -m "${inputs[@]}" -t raw -e mu-law -b 8 "$name-$side.ulaw"
  done
}

conversation order rms slt 0.88 0.84 <<'TEXT'
1 300 Garden centre, good morning.
0 300 Good morning. My three apple trees did not come.
1 -200 Oh, I am sorry. May I have the order number?
0 250 Four, seven, one, nine.
1 300 Thank you. They will be there on Thursday.
0 -150 Perfect. Thank you.
TEXT

conversation clinic awb slt 0.88 0.84 <<'TEXT'
1 300 Harbour clinic. This call is recorded.
0 300 Hello. I would like to move my visit to Friday.
1 250 Friday at ten is free, or a quarter past four.
0 -180 Ten is good. Do I bring anything?
1 250 Only your card, please. See you on Friday.
0 250 Thank you. Goodbye.
TEXT

ls -l ./*.ulaw
