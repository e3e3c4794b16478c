package sip

import (
	"strconv"
	"strings"
)

// Q.850 causes that this package names itself.
const (
	causeNormal     = 16
	causeTimeout    = 102 // recovery on timer expiry
	causeInterwork  = 127
	causeBusy       = 17
	causeRejected   = 21
	causeNoAnswer   = 19
	causeUnassigned = 1
)

// StatusQ850 maps a final SIP status to the Q.850 cause (RFC 3398 §8.2.6.1; 2xx and 487,
// the ends of a call that went as somebody wanted, are normal clearing). A cause that
// the peer itself gave in a Reason header (RFC 3326) is better than this.
func StatusQ850(code int) int {
	switch code {
	case 487:
		return causeNormal
	case 404, 485, 604:
		return causeUnassigned
	case 400, 481, 500, 503:
		return 41
	case 401, 402, 403, 407, 603, 607, 608:
		return causeRejected
	case 405:
		return 63
	case 406, 415, 501, 606:
		return 79
	case 408, 504:
		return causeTimeout
	case 410:
		return 22
	case 480:
		return 18
	case 482, 483:
		return 25
	case 484:
		return 28
	case 486, 600:
		return causeBusy
	case 488:
		return 88
	case 502:
		return 38
	}
	if code >= 200 && code < 300 {
		return causeNormal
	}
	return causeInterwork
}

// refusalFor is the final response for giving up an inbound call that was not answered,
// with this Q.850 cause (RFC 3398 §7.2.4.1).
func refusalFor(q850 int) (int, string) {
	switch q850 {
	case causeUnassigned, 2, 3:
		return 404, "Not Found"
	case causeBusy:
		return 486, "Busy Here"
	case causeRejected:
		return 603, "Decline"
	case 22:
		return 410, "Gone"
	case 28:
		return 484, "Address Incomplete"
	case 34, 38, 41, 42, 47:
		return 503, "Service Unavailable"
	case 65, 79, 88:
		return 488, "Not Acceptable Here"
	case causeTimeout:
		return 504, "Server Time-out"
	}
	return 480, "Temporarily Unavailable"
}

// reasonHeader writes the Reason of our BYE or CANCEL (RFC 3326 §2).
func reasonHeader(q850 int) string {
	if q850 <= 0 || q850 > 127 {
		return ""
	}
	return "Reason: Q.850;cause=" + strconv.Itoa(q850)
}

// readReason finds the Q.850 cause and a text in the Reason headers of a message. Every
// value is looked at; what is not understood is passed over.
func readReason(m message) (q850 int, text string) {
	for _, value := range splitList(values(m, "reason")) {
		protocol, rest, _ := strings.Cut(value, ";")
		cause, words := 0, ""
		for _, p := range splitQuoted(rest, ';') {
			k, v, _ := strings.Cut(p, "=")
			switch strings.ToLower(strings.TrimSpace(k)) {
			case "cause":
				cause, _ = strconv.Atoi(strings.TrimSpace(v))
			case "text":
				words = unquote(strings.TrimSpace(v))
			}
		}
		if words != "" && text == "" {
			text = words
		}
		if strings.EqualFold(strings.TrimSpace(protocol), "Q.850") && cause > 0 && cause <= 127 {
			q850 = cause
			if words != "" {
				text = words
			}
		}
	}
	return q850, text
}
