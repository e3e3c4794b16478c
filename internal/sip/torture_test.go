package sip

import (
	"strings"
	"testing"
	"time"

	"tapedeck/internal/sip/siptest"
	"tapedeck/internal/testkit"
)

// TestTorture goes through messages in the manner of RFC 4475: what each gets, and that
// the agent serves the next peer after every one of them. want is the answer, "call" for
// a call that comes in, or "" for silence. knownFail says why an answer that the RFC
// wants is not given; such a case must go on failing, so that it is noticed when it is
// mended.
func TestTorture(t *testing.T) {
	guard(t)
	b := run(t, Options{})
	for _, tt := range []struct{ name, raw, want, knownFail string }{
		{name: "3.1.1.1 wsinv: a short tortuous INVITE", want: "call", raw: `INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
TO :
 sip:vivekg@chair-dnrc.example.com ;   x    = 1918181833n
from   : "J Rosenberg \\\""       <sip:jdrosen@example.com>
  ;
  tag = 98asjd8
MaX-fOrWaRdS: 0068
Call-ID: wsinv.ndaksdj@192.0.2.1
Content-Length   : 150
cseq: 0009
  INVITE
Via  : SIP  /   2.0
 /UDP
    127.0.0.1;branch=390skdjuw;rport
s :
NewFangledHeader:   newfangled value
 continued newfangled value
UnknownHeaderWithUnusualValue: ;;,,;;,;
Content-Type: application/sdp
Route:
 <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
m:"Quoted string \"\"" <sip:jdrosen@example.com> ; newparam =
      newvalue ;
  secondparam ; q = 0.33

v=0
o=mhandley 29739 7272939 IN IP4 192.0.2.3
s=-
c=IN IP4 192.0.2.4
t=0 0
m=audio 49217 RTP/AVP 0 12
m=video 3227 RTP/AVP 31
a=rtpmap:31 LPC
`},
		{name: "3.1.1.2 intmeth: any character in a method", want: "501", raw: `!interesting-Method0123456789_*+` + "`" + `.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK-.!%66*_+'~;rport
To: "BEL:\` + "\x07 NUL:\\\x00 DEL:\\\x7f" + `" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>
From: token1~'+_*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%="x";tag=_token~1'+` + "`" + `*%!-.
Call-ID: intmeth.word%ZK-!.*_+'@word
CSeq: 139122385 !interesting-Method0123456789_*+` + "`" + `.%indeed'~
Max-Forwards: 255
extensionHeader-!.%*+_'~:hello
Content-Length: 0

`},
		{name: "3.1.1.3 esc01: escaped characters", want: "call", raw: sized(`INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0
To: sip:%75se%72@example.com
From: <sip:I%20have%20spaces@example.net>;tag=938
Max-Forwards: 87
i: esc01.239409asdfakjkn23onasd0-3234
CSeq: 234234 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
C: application/sdp
Contact:
  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>

`)},
		{name: "3.1.1.5 esc02: % that escapes nothing", want: "501", raw: `RE%47IST%45R sip:registrar.example.com SIP/2.0
To: "%Z%45" <sip:resource@example.com>
From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23
Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK209%fzsnel234;rport
CSeq: 29344 RE%47IST%45R
Max-Forwards: 70
Contact: <sip:alias1@host1.example.com>
C%6Fntact: <sip:alias2@host2.example.com>
l: 0

`},
		{name: "3.1.1.6 lwsdisp: no blank before <", want: "200", raw: `OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: caller<sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID: lwsdisp.1234abcd@funky.example.com
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw;rport
l: 0

`},
		{name: "3.1.1.7 longreq: long values", want: "call", raw: sized(`INVITE sip:user@example.com SIP/2.0
To: "I have a user name of ` + strings.Repeat("extreme", 30) + ` proportion"<sip:user@example.com:6000;unknownparam1=very` + strings.Repeat("long", 30) + `value>
F: sip:` + strings.Repeat("amazinglylongcallername", 5) + `@example.net;tag=12` + strings.Repeat("982", 50) + `424;unknownheaderparam1=x
Call-ID: longreq.one` + strings.Repeat("really", 20) + `longcallid
CSeq: 3882340 INVITE
Unknown-` + strings.Repeat("Long", 20) + `-Name: unknown-` + strings.Repeat("long", 20) + `-value
Via: SIP/2.0/TCP sip33.example.com
v: SIP/2.0/TCP sip32.example.com
Via: SIP/2.0/UDP 127.0.0.1;received=192.0.2.5;branch=very` + strings.Repeat("long", 50) + `branchvalue
Max-Forwards: 70
Contact: <sip:` + strings.Repeat("amazinglylongcallername", 5) + `@host5.example.net>
Content-Type: application/sdp

`)},
		{name: "3.1.1.8 dblreq: octets behind the message", want: "405", raw: `REGISTER sip:example.com SIP/2.0
To: sip:j.user@example.com
From: sip:j.user@example.com;tag=43251j3j324
Max-Forwards: 8
I: dblreq.0ha0isndaksdj99sdfafnl3lk233412
Contact: sip:j.user@host.example.com
CSeq: 8 REGISTER
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw23492;rport
Content-Length: 0

INVITE sip:joe@example.com SIP/2.0
t: sip:joe@example.com
From: sip:caller@example.net;tag=141334

`},
		{name: "3.1.1.9 semiuri: ; in the user part", want: "200", raw: `OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Call-ID: semiuri.0ha0isndaksdj
CSeq: 8 OPTIONS
Accept: application/sdp, application/pkcs7-mime, multipart/mixed, multipart/signed, message/sip, message/sipfrag
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
l: 0

`},
		{name: "3.1.1.10 transports: unknown ones below", want: "200", raw: `OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: <sip:caller@example.com>;tag=323
Max-Forwards: 70
Call-ID:  transports.kijh4akdnaqjkwendsasfdj
Accept: application/sdp
CSeq: 60 OPTIONS
Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw;rport
Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf
Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj
Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en
Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee
l: 0

`},
		{name: "3.1.2.1 badinv01: extraneous separators", want: "400", raw: `INVITE sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=134161461246
Max-Forwards: 7
Call-ID: badinv01.0ha0isndaksdjasdf3234nas
CSeq: 8 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
Contact: "Joe" <sip:joe@example.org>;;;;
Content-Length: 152
Content-Type: application/sdp

v=0
`},
		{name: "3.1.2.2 clerr: Content-Length beyond the datagram", want: "400", raw: `INVITE sip:user@example.com SIP/2.0
Max-Forwards: 80
To: sip:j.user@example.com
From: sip:caller@example.net;tag=93942939o2
Contact: <sip:caller@hungry.example.net>
Call-ID: clerr.0ha0isndaksdjweiafasdk3
CSeq: 8 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK-39234-23523;rport
Content-Type: application/sdp
Content-Length: 9999

v=0
`},
		{name: "3.1.2.3 ncl: negative Content-Length", want: "400", raw: `INVITE sip:user@example.com SIP/2.0
Max-Forwards: 254
To: sip:j.user@example.com
From: sip:caller@example.net;tag=32394234
Call-ID: ncl.0ha0isndaksdj2193423r542w35
CSeq: 0 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
Contact: <sip:caller@example53.example.net>
Content-Type: application/sdp
Content-Length: -999

v=0
`},
		{name: "3.1.2.4 scalar02: numbers too big", want: "400", raw: `REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK342sdfoi3;rport
To: <sip:user@example.com>
From: <sip:user@example.com>;tag=239232jh3
CSeq: 36893488147419103232 REGISTER
Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32
Max-Forwards: 300
Expires: 10000000000000000000
Contact: <sip:user@host129.example.com>
Content-Length: 0

`},
		{name: "3.1.2.5 quotbal: quote without end", want: "400", raw: `INVITE sip:user@example.com SIP/2.0
To: "Mr. J. User <sip:j.user@example.com>
From: sip:caller@example.net;tag=93334
Max-Forwards: 10
Call-ID: quotbal.aksdj
Contact: <sip:caller@host59.example.net>
CSeq: 8 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw39234;rport
Content-Length: 0

`},
		{name: "3.1.2.6 ltgtruri: <> around the request-URI", want: "400", raw: `INVITE <sip:user@example.com> SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=39291
Max-Forwards: 23
Call-ID: ltgtruri.1@192.0.2.5
CSeq: 1 INVITE
Via: SIP/2.0/UDP 127.0.0.1;rport
Contact: <sip:caller@host5.example.net>
Content-Length: 0

`},
		{name: "3.1.2.7 lwsruri: blank in the request-URI", want: "400", raw: `INVITE sip:user@example.com; lr SIP/2.0
To: sip:user@example.com;tag=3xfe-9921883-z9f
From: sip:caller@example.net;tag=231413434
Max-Forwards: 5
Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423
CSeq: 2130706432 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw2395;rport
Contact: <sip:caller@host1.example.net>
Content-Length: 0

`},
		{name: "3.1.2.8 lwsstart: many blanks in the request line", want: "400", raw: `INVITE  sip:user@example.com  SIP/2.0
Max-Forwards: 8
To: sip:user@example.com
From: sip:caller@example.net;tag=8814
Call-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com
CSeq: 1893884 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw3923;rport
Contact: <sip:caller@host1.example.net>
Content-Length: 0

`},
		{name: "3.1.2.15 badvers: unknown protocol version", want: "505", raw: `OPTIONS sip:t.watson@example.org SIP/7.0
Via:     SIP/7.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
From:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe
To:      T. Watson <sip:t.watson@example.org>
Call-ID: badvers.31417@c.example.com
CSeq:    1 OPTIONS
l: 0

`},
		{name: "3.1.2.16 mismatch01: CSeq of another method", want: "400", raw: `OPTIONS sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=34525
Max-Forwards: 6
Call-ID: mismatch01.dj0234sxdfl3
CSeq: 8 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
l: 0

`},
		{name: "3.1.2.17 mismatch02: unknown method, CSeq of another", want: "400", raw: `NEWMETHOD sip:user@example.com SIP/2.0
To: sip:j.user@example.com
From: sip:caller@example.net;tag=34525
Max-Forwards: 6
Call-ID: mismatch02.dj0234sxdfl3
CSeq: 8 INVITE
Contact: <sip:caller@host.example.net>
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
l: 0

`},
		{name: "3.1.2.18 bigcode: status of many digits", want: "", raw: `SIP/2.0 4294967301 better not break the receiver
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK2398ndaoe
Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i
CSeq: 353494 INVITE
From: <sip:user@example.com>;tag=39ansfi3
To: <sip:user@example.edu>;tag=902jndnke3
Content-Length: 0

`},
		{name: "3.2.1 badbranch: nothing behind the cookie", want: "200", raw: `OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.org;tag=33242
Max-Forwards: 3
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK;rport
Accept: application/sdp
Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n
CSeq: 8 OPTIONS
l: 0

`},
		{name: "3.3.1 insuf: headers missing", want: "", raw: `INVITE sip:user@example.com SIP/2.0
CSeq: 193942 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdj.insuf;rport
Content-Type: application/sdp
l: 5

v=0
`},
		{name: "3.3.2 unkscm: unknown scheme", want: "416", raw: `OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=384
Max-Forwards: 3
Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34
CSeq: 3923423 OPTIONS
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw39234;rport
Content-Length: 0

`},
		{name: "3.3.5 unksm2: unknown scheme in From and To", want: "200", raw: `OPTIONS sip:example.com SIP/2.0
To: isbn:2983792873
From: <http://www.example.com>;tag=3234233
Call-ID: unksm2.daksdj@hyphenated-host.example.com
CSeq: 234902 OPTIONS
Max-Forwards: 70
Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKkdjuw;rport
Contact: <name:John_Smith>
l: 0

`},
		{name: "3.3.6 bext01: unknown extensions required", want: "420", raw: `INVITE sip:user@example.com SIP/2.0
To: sip:j_user@example.com
From: sip:caller@example.net;tag=242etr
Max-Forwards: 6
Call-ID: bext01.0ha0isndaksdj
Require: nothingSupportsThis, nothingSupportsThisEither
Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis
CSeq: 8 INVITE
Contact: <sip:caller@127.0.0.1>
Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw;rport
Content-Length: 0

`},
		{name: "3.3.7 invut: unknown body type", want: "415", raw: `INVITE sip:user@example.com SIP/2.0
Contact: <sip:caller@host5.example.net>
To: sip:j.user@example.com
From: sip:caller@example.net;tag=8392034
Max-Forwards: 70
Call-ID: invut.0ha0isndaksdjadsfij34n23d
CSeq: 235448 INVITE
Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw;rport
Content-Type: application/unknownformat
Content-Length: 5

<ab/>`},
		{name: "3.3.9 multi01: several values of single headers", want: "200", raw: `OPTIONS sip:user@company.com SIP/2.0
Contact: <sip:caller@host25.example.net>
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
Max-Forwards: 70
CSeq: 5 OPTIONS
Call-ID: multi01.98asdh@192.0.2.1
CSeq: 59 OPTIONS
Call-ID: multi01.98asdh@192.0.2.2
From: sip:caller@example.com;tag=3413415
To: sip:user@example.com
To: sip:other@example.net
From: sip:caller@example.net;tag=2923420123
Content-Length: 0
Content-Length: 0
Contact: <sip:caller@host36.example.net>

`},
		{name: "3.3.11 zeromf: Max-Forwards 0 at its end", want: "200", raw: `OPTIONS sip:user@example.com SIP/2.0
To: sip:user@example.com
From: sip:caller@example.net;tag=3ghsd41
Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas
CSeq: 39234321 OPTIONS
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw2349i;rport
Max-Forwards: 0
Content-Length: 0

`},
		{name: "3.3.15 sdp01: unacceptable Accept", want: "call", raw: `INVITE sip:user@example.com SIP/2.0
To: sip:j_user@example.com
Contact: <sip:caller@host15.example.net>
From: sip:caller@example.net;tag=234
Max-Forwards: 5
Call-ID: sdp01.ndaksdj9342dasdd
Accept: text/nobodyKnowsThis
CSeq: 8 INVITE
Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKkdjuw;rport
Content-Length: 5
Content-Type: application/sdp

v=0
`},
		{name: "junk", raw: "hello", want: ""},
		{name: "zeros", raw: strings.Repeat("\x00", 100), want: ""},
		{name: "high bytes", raw: "\xff\xfe\xfd \x80 \x81\r\n\r\n", want: ""},
		{name: "keep-alive", raw: "\r\n\r\n", want: ""},
		{name: "start line alone", raw: "INVITE sip:a@b SIP/2.0", want: ""},
		{name: "STUN", raw: "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl", want: ""},
	} {
		p := siptest.New(t, b.Addr())
		p.Send(strings.ReplaceAll(strings.ReplaceAll(tt.raw, "\r\n", "\n"), "\n", "\r\n"))
		// whatever it was, the next one is served; its answer ends the wait
		p.Send(siptest.Request("OPTIONS sip:next SIP/2.0", "", "Via: SIP/2.0/UDP x;branch=z9hG4bKnext;rport", "From: <sip:a@b>;tag=1", "To: <sip:next@b>", "Call-ID: next", "CSeq: 7 OPTIONS"))
		got := ""
		for {
			m, ok := p.Receive(siptest.Patience)
			if !ok {
				t.Fatalf("%s: the agent does not answer any more", tt.name)
			}
			if m.Get("Call-ID") == "next" {
				break
			}
			if m.Code() != 100 {
				got = m.Start[len("SIP/2.0 "):][:3]
			}
		}
		if tt.want == "call" {
			select {
			case in := <-b.calls:
				got = "call"
				must(t, in.Reject(486, ""))
			case <-time.After(time.Second):
			}
		}
		switch {
		case tt.knownFail != "" && got == tt.want:
			t.Errorf("%s: mended; take its knownFail away", tt.name)
		case tt.knownFail == "" && got != tt.want:
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	testkit.Eventually(t, siptest.Patience, func() bool { return b.counter(t, "tapedeck_sip_dialogs") == 0 })
	if b.counter(t, "tapedeck_sip_panics_total") != 0 {
		t.Error("faults")
	}
	if b.rejected(t, rejectMalformed) < 8 {
		t.Errorf("%v malformed are counted", b.rejected(t, rejectMalformed))
	}
}

// sized adds an SDP body and its length to a message that ends with the blank line.
func sized(m string) string {
	return strings.TrimSuffix(m, "\n") + "Content-Length: 5\n\nv=0\n"
}
