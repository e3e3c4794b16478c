package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"tapedeck/internal/voice"
)

// headers are those of one attempt. There are two families, which say the same:
//
//   - messagebird-…: the time is that of the first attempt, also later on, and the
//     signature is over it, the address and the hash of the body;
//   - webhook-… (Standard Webhooks 1.0): the time is that of this attempt, and the
//     signature is over the event's id, it and the body.
//
// Without a key there is no signature.
func headers(d *voice.Delivery, key string, body []byte, now time.Time) map[string]string {
	first, this := strconv.FormatInt(d.Since.Unix(), 10), strconv.FormatInt(now.Unix(), 10)
	h := map[string]string{
		"Content-Type":                  "application/json",
		"messagebird-request-id":        string(d.ID),
		"messagebird-request-timestamp": first,
		"webhook-id":                    string(d.Event),
		"webhook-timestamp":             this,
	}
	if key != "" {
		h["messagebird-signature"] = sign(key, first, d.URL, body)
		h["webhook-signature"] = signStandard(key, string(d.Event), this, body)
	}
	return h
}

// sign is base64(HMAC-SHA256(key, timestamp "\n" url "\n" SHA256(body))). The hash
// of the body stands there as its 32 bytes.
func sign(key, timestamp, url string, body []byte) string {
	hash := sha256.Sum256(body)
	return base64.StdEncoding.EncodeToString(mac([]byte(key), []byte(timestamp+"\n"+url+"\n"), hash[:]))
}

// secretPrefix marks a key that is base64, as Standard Webhooks writes keys.
const secretPrefix = "whsec_"

// signStandard is "v1,"base64(HMAC-SHA256(key, id "." timestamp "." body)).
func signStandard(key, id, timestamp string, body []byte) string {
	raw := []byte(key)
	if rest, found := strings.CutPrefix(key, secretPrefix); found {
		if decoded, err := base64.StdEncoding.DecodeString(rest); err == nil {
			raw = decoded
		}
	}
	return "v1," + base64.StdEncoding.EncodeToString(mac(raw, []byte(id+"."+timestamp+"."), body))
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}
