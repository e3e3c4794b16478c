package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Options say what a Client may do. The zero value is strict.
type Options struct {
	AllowPrivate  bool          // addresses that are not public may be reached, too
	Timeout       time.Duration // of a whole request, redirects and body included; 0 = 30 s
	HeaderTimeout time.Duration // until the answer begins; 0 = 10 s
	MaxRedirects  int           // that Get follows; 0 = 3, < 0 = none
	UserAgent     string
	// Hosts says where some hosts of the web are really found: "name:port" to
	// "address:port", which is not asked whether it is public. For tests.
	Hosts map[string]string
}

// What a request is refused for. Each comes wrapped, with the address.
var (
	ErrPrivate   = errors.New("the address is not public")
	ErrScheme    = errors.New("the scheme is not allowed")
	ErrTooLarge  = errors.New("the file is too large")
	ErrRedirects = errors.New("there are too many redirects")
)

// StatusError is an answer that is no success.
type StatusError struct{ Code int }

// Error says which status it was.
func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("the server answered %d %s", e.Code, http.StatusText(e.Code)))
}

// Client makes requests. Its methods may be called from any goroutine.
type Client struct {
	o    Options
	http *http.Client
}

// New makes a Client.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.HeaderTimeout <= 0 {
		o.HeaderTimeout = 10 * time.Second
	}
	if o.MaxRedirects == 0 {
		o.MaxRedirects = 3
	}
	c := &Client{o: o}
	dialer := &net.Dialer{Timeout: 10 * time.Second, Control: c.control}
	c.http = &http.Client{
		Timeout: o.Timeout,
		Transport: &http.Transport{
			DialContext: o.dial(dialer), TLSHandshakeTimeout: 10 * time.Second,
			ResponseHeaderTimeout: o.HeaderTimeout, MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:  true, // a limit is one of bytes that came
			MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}
	return c
}

// dial is how connections are made.
func (o *Options) dial(by *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if at, known := o.Hosts[address]; known {
			return (&net.Dialer{Timeout: by.Timeout}).DialContext(ctx, network, at)
		}
		return by.DialContext(ctx, network, address)
	}
}

// Close lets go of connections that are kept for later.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// control judges an address after its name was resolved, before a packet is sent.
func (c *Client) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("read address %q: %w", address, err)
	}
	if !c.o.AllowPrivate && !Public(at.Addr()) {
		return fmt.Errorf("%w: %s", ErrPrivate, at.Addr())
	}
	return nil
}

// Check reports at once what can be told of an address without a network: whether
// it is a URL of one of the schemes, whose host is not an address or a name that
// is never public. A host's name is judged again when it is connected to.
func (c *Client) Check(address string, schemes ...string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("it is not a URL with a host")
	case !slices.Contains(schemes, u.Scheme):
		return fmt.Errorf("%w: it must be %s", ErrScheme, strings.Join(schemes, " or "))
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("its port %s is not one of 1 to 65535", port)
		}
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if at, err := netip.ParseAddr(host); err == nil {
		if c.o.AllowPrivate || Public(at) {
			return nil
		}
		return fmt.Errorf("%w: %s", ErrPrivate, host)
	}
	if err := name(host); err != nil || c.o.AllowPrivate {
		return err
	}
	if local(host) {
		return fmt.Errorf("%w: %s", ErrPrivate, host)
	}
	return nil
}

// CheckExact reports what in an address would not be sent as it stands there, so
// that its receiver could not tell that it was meant.
func CheckExact(address string) error {
	if strings.Contains(address, "#") {
		return errors.New("it has a fragment, which is never sent")
	}
	if strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\^`+"`{|}", r) }) {
		return errors.New("it has characters that a URL must have percent-encoded")
	}
	return nil
}

// File is what Get got.
type File struct {
	Body        []byte // nil when it is not modified
	NotModified bool   // it is still the one with the ETag that was named
	Type        string // Content-Type, as the server says
	ETag        string
	CacheFor    time.Duration // max-age; 0 = the server says nothing, or no
}

// Get loads a file of so many bytes at the most. etag, if not empty, is that of
// the file that is at hand. An answer that is no success is a *StatusError.
func (c *Client) Get(ctx context.Context, address, etag string, limit int64) (*File, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	c.dress(r)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	following := *c.http
	following.CheckRedirect = c.redirect
	resp, err := following.Do(r)
	if err != nil {
		return nil, plain(err)
	}
	f, err := read(resp, limit)
	return f, errors.Join(err, resp.Body.Close())
}

// redirect follows to the web only, and not for ever.
func (c *Client) redirect(r *http.Request, via []*http.Request) error {
	if len(via) > max(c.o.MaxRedirects, 0) {
		return ErrRedirects
	}
	return c.Check(r.URL.String(), "http", "https")
}

func read(resp *http.Response, limit int64) (*File, error) {
	f := &File{
		Type: resp.Header.Get("Content-Type"), ETag: resp.Header.Get("ETag"), CacheFor: cacheFor(resp.Header.Get("Cache-Control")),
	}
	switch {
	case resp.StatusCode == http.StatusNotModified:
		f.NotModified = true
		return f, nil
	case resp.StatusCode != http.StatusOK:
		return nil, &StatusError{resp.StatusCode}
	case resp.ContentLength > limit:
		return nil, fmt.Errorf("%w: it has %d bytes, %d are allowed", ErrTooLarge, resp.ContentLength, limit)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, plain(err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes came", ErrTooLarge, limit)
	}
	f.Body = body
	return f, nil
}

// cacheFor reads max-age of Cache-Control (RFC 9111 §5.2.2.1).
func cacheFor(header string) time.Duration {
	for _, part := range strings.Split(strings.ToLower(header), ",") {
		part = strings.TrimSpace(part)
		if part == "no-store" || part == "no-cache" {
			return 0
		}
		if age, found := strings.CutPrefix(part, "max-age="); found {
			if d, err := time.ParseDuration(strings.Trim(age, `"`) + "s"); err == nil && d > 0 {
				return d
			}
		}
	}
	return 0
}

// Answer is what a request was answered with.
type Answer struct {
	Code int    // HTTP status
	Body []byte // as much of it as was asked for
}

// Post sends a body and returns the status and so many bytes of the answer.
// Redirects are not followed: what is sent was meant for this address.
func (c *Client) Post(ctx context.Context, address string, header map[string]string, body []byte, limit int64) (*Answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("it is not a URL")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	c.dress(r)
	staying := *c.http
	staying.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := staying.Do(r)
	if err != nil {
		return nil, plain(err)
	}
	answer := &Answer{Code: resp.StatusCode}
	// Where the body breaks off, the answer is there with what came, and the error.
	answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, limit))
	return answer, errors.Join(plain(err), resp.Body.Close())
}

func (c *Client) dress(r *http.Request) {
	if c.o.UserAgent != "" {
		r.Header.Set("User-Agent", c.o.UserAgent)
	}
}

// plain takes the method and the URL off an error: the URL may hold a secret, and
// who reads the error knows it.
func plain(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}
