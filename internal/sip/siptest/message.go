package siptest

import (
	"slices"
	"strconv"
	"strings"
)

// Message is a received message, split at its lines and nothing more.
type Message struct {
	Start   string   // first line
	Headers []string // "Name: value", in order
	Body    string
}

// Parse splits a message. It never fails; what is not there is empty.
func Parse(raw string) Message {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	return Message{Start: lines[0], Headers: lines[1:], Body: body}
}

// Code is the status of a response, 0 for a request.
func (m Message) Code() int {
	f := strings.Fields(m.Start)
	if len(f) < 2 || !strings.HasPrefix(m.Start, "SIP/") {
		return 0
	}
	n, _ := strconv.Atoi(f[1])
	return n
}

// Method is the method of a request; for a response that of its CSeq.
func (m Message) Method() string {
	if m.Code() != 0 {
		f := strings.Fields(m.Get("CSeq"))
		if len(f) == 2 {
			return f[1]
		}
		return ""
	}
	method, _, _ := strings.Cut(m.Start, " ")
	return method
}

// Get is the value of the first header of that name; "" when there is none.
func (m Message) Get(name string) string {
	all := m.All(name)
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// All are the values of every header of that name.
func (m Message) All(name string) []string {
	var out []string
	for _, h := range m.Headers {
		k, v, ok := strings.Cut(h, ":")
		if ok && strings.EqualFold(strings.TrimSpace(k), name) {
			out = append(out, strings.TrimSpace(v))
		}
	}
	return out
}

// Param is a parameter of a header's value: Param("To", "tag").
func (m Message) Param(header, name string) string {
	for _, p := range strings.Split(m.Get(header), ";")[1:] {
		k, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.TrimSpace(k), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// URI is what stands between < and > in a header's first value.
func (m Message) URI(header string) string {
	_, rest, _ := strings.Cut(m.Get(header), "<")
	uri, _, _ := strings.Cut(rest, ">")
	return uri
}

// Is tells whether the message is this: "INVITE", or "200", or "200 BYE".
func (m Message) Is(want string) bool {
	f := strings.Fields(want)
	code, err := strconv.Atoi(f[0])
	if err != nil {
		return m.Code() == 0 && m.Method() == f[0]
	}
	return m.Code() == code && (len(f) == 1 || m.Method() == f[1])
}

// Reply writes the text of a response to a request: status is "200 OK". The To tag is
// added when the request has none; extra are header lines.
func (m Message) Reply(status, tag, body string, extra ...string) string {
	lines := []string{"SIP/2.0 " + status}
	for _, h := range m.Headers {
		k, _, _ := strings.Cut(h, ":")
		switch strings.ToLower(strings.TrimSpace(k)) {
		case "via", "from", "call-id", "cseq", "record-route":
			lines = append(lines, h)
		case "to":
			if m.Param("To", "tag") == "" && tag != "" {
				h += ";tag=" + tag
			}
			lines = append(lines, h)
		}
	}
	return finish(append(lines, extra...), body)
}

// finish adds body and length.
func finish(lines []string, body string) string {
	typed := slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Content-Type:") })
	if body != "" && !typed {
		lines = append(lines, "Content-Type: application/sdp")
	}
	lines = append(lines, "Content-Length: "+strconv.Itoa(len(body)), "", body)
	return strings.Join(lines, "\r\n")
}

// Request writes the text of a request out of its start line and headers; the length is
// added.
func Request(start, body string, headers ...string) string {
	return finish(append([]string{start}, headers...), body)
}
