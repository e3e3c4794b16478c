package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"

	"tapedeck/internal/httpapi/openapi"
	"tapedeck/internal/voice"
)

func post(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
}

// schemas are those of the document. Reading it takes long: once a test.
func schemas(t testing.TB) openapi3.Schemas {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		t.Fatal(err)
	}
	return doc.Components.Schemas
}

// TestDocument: the document keeps to OpenAPI itself.
func TestDocument(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		t.Fatal(err)
	}
	// The seed has a member beside a $ref, which OpenAPI 3.0 ignores.
	if err := doc.Validate(context.Background(), openapi3.AllowExtraSiblingFields("nullable")); err != nil {
		t.Error(err)
	}
}

func TestBodiesThatAreNoObject(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, body := range []string{
		"nonsense", "{", `{"stereo":true`, `{"stereo":true}x`, `{} {}`, "[]", "[1]", "1", `"x"`, "true", "null",
		`{"stereo":true,"stereo":false}`, `{"a":{"b":1,"b":2}}`, "{\"a\":\"\xff\"}", "\ufeff{}", `{"a":01}`, `{'a':1}`, `{"a":NaN}`, deep,
	} {
		_, err := readBody(httptest.NewRecorder(), post(body), faults{})
		if voice.CodeOf(err) != voice.CodeInvalidJSON {
			t.Errorf("%.40q: %v", body, err)
		}
	}
	_, err := readBody(httptest.NewRecorder(), post(`{"a":"`+strings.Repeat("x", maxBody)+`"}`), faults{})
	if voice.CodeOf(err) != voice.CodeBodyTooLarge {
		t.Errorf("a body that is too large: %v", err)
	}
	full := `{"a":"` + strings.Repeat("x", maxBody-8) + `"}`
	if _, err := readBody(httptest.NewRecorder(), post(full), faults{}); err != nil || len(full) != maxBody {
		t.Errorf("a body of %d bytes: %v", len(full), err)
	}
}

func TestBodyFaults(t *testing.T) {
	tests := []struct {
		schema, body string
		want         map[string]string // member → part of what is said of it
	}{
		{"RecordCall", ``, nil},
		{"RecordCall", ` `, nil},
		{"RecordCall", `{}`, nil},
		{"RecordCall", `{"maxLength":null,"stereo":null,"other":null}`, nil},
		{"RecordCall", `{"maxLength":0}`, nil},
		{"RecordCall", `{"maxLength":-0}`, nil},
		{"RecordCall", `{"maxLength":1e3,"stereo":true}`, nil},
		{"RecordCall", `{"maxLength":9223372036854775807}`, nil},
		{"RecordCall", `{"maxLength":-1}`, map[string]string{"maxLength": "at least 0"}},
		{"RecordCall", `{"maxLength":-9e17}`, map[string]string{"maxLength": "at least 0"}},
		{"RecordCall", `{"maxLength":1.5}`, map[string]string{"maxLength": "integer"}},
		{"RecordCall", `{"maxLength":-1.5}`, map[string]string{"maxLength": "integer"}},
		{"RecordCall", `{"maxLength":1e-400}`, map[string]string{"maxLength": "beyond"}},
		{"RecordCall", `{"maxLength":1e400}`, map[string]string{"maxLength": "beyond"}},
		{"RecordCall", `{"maxLength":1e30}`, nil},
		{"RecordCall", `{"maxLength":9223372036854775808}`, nil},
		{"RecordCall", `{"maxLength":-1e30}`, map[string]string{"maxLength": "at least 0"}},
		{"BridgeCall", `{"to":"1","ringTimeout":1e30}`, map[string]string{"ringTimeout": "at most 120"}},
		{"RecordCall", `{"maxLength":` + strings.Repeat("9", 60000) + `}`, map[string]string{"maxLength": "digits"}},
		{"RecordCall", `{"maxLength":"10"}`, map[string]string{"maxLength": "integer"}},
		{"RecordCall", `{"maxLength":true}`, map[string]string{"maxLength": "integer"}},
		{"RecordCall", `{"maxLength":[]}`, map[string]string{"maxLength": "integer"}},
		{"RecordCall", `{"stereo":"true"}`, map[string]string{"stereo": "boolean"}},
		{"RecordCall", `{"stereo":1}`, map[string]string{"stereo": "boolean"}},
		{"RecordCall", `{"Stereo":true}`, map[string]string{"Stereo": "known"}},
		{"RecordCall", `{"":true}`, map[string]string{"body": "known"}},
		{
			"RecordCall", `{"maxLength":-2,"stereo":"no","beep":1,"x":{"y":1e999}}`,
			map[string]string{"maxLength": "at least 0", "stereo": "boolean", "beep": "known", "x": "known", "x.y": "beyond"},
		},
		{"BridgeCall", `{}`, map[string]string{"to": "required"}},
		{"BridgeCall", `{"to":"+15550100","ringTimeout":2,"maxDuration":0}`, map[string]string{"ringTimeout": "3", "maxDuration": "1"}},
		{"BridgeCall", `{"to":"a b"}`, map[string]string{"to": "form"}},
		{"BridgeCall", `{"to":"sip:a@b\r\nX: 1"}`, map[string]string{"to": "form"}},
		{"BridgeCall", `{"to":"1","recordStart":"now"}`, map[string]string{"recordStart": "record-from-answer, record-from-ringing"}},
		{"BridgeCall", `{"to":"1","callFlow":[{"command":"answer"}]}`, map[string]string{"callFlow.0.command": "hangup, pause"}},
		{"CreateCall", `{"to":"sip:a@b:5060;transport=tcp","tags":["a","b"],"callFlow":[{"command":"pause","options":{"length":1}}]}`, nil},
		{"CreateCall", `{"to":"1","sendKeys":"1A","tags":["",` + `"` + strings.Repeat("x", 51) + `"]}`, map[string]string{"sendKeys": "form", "tags.0": "1", "tags.1": "50"}},
		{"Record", `{"endKey":"#","maxLength":60,"timeout":3,"beep":true,"transcribe":true,"transcribeLocale":"en-US"}`, nil},
		{"Record", `{"endKey":"A","maxLength":-1,"timeout":86401,"transcribeLocale":"xx-XX","stereo":true}`, map[string]string{
			"endKey": "0, 1, 2", "maxLength": "at least 0", "timeout": "at most 86400", "transcribeLocale": "ar-AE", "stereo": "known",
		}},
		{"PatchCall", `{"callFlow":[{"command":"hangup","conditions":[{"variable":"digits","operator":"like","value":"1"}]}]}`, map[string]string{
			"callFlow.0.conditions.0.variable": "keys, speech", "callFlow.0.conditions.0.operator": "eq, ne",
		}},
		{"PatchCall", `{"status":"done"}`, map[string]string{"status": "completed"}},
		{"PatchCall", `{"callFlow":[{"command":"pause"},{"command":"bridge","options":{"to":"1","x":1}},{"options":{}},7,{"command":7},{"command":"dance"}]}`, map[string]string{
			"callFlow.0.options": "required", "callFlow.1.options.x": "known", "callFlow.2.command": "answer", "callFlow.3": "", "callFlow.4.command": "answer", "callFlow.5.command": "answer",
		}},
		{"PatchCall", `{"callFlow":[` + strings.Repeat(`{"command":"hangup"},`, 20) + `{"command":"hangup"}]}`, map[string]string{"callFlow": "20"}},
		{"PatchCall", `{"callFlow":[{"command":"bridge","options":{"to":"1","callFlow":[{"command":"pause","options":{"length":-1}}]}}]}`, map[string]string{
			"callFlow.0.options.callFlow.0.options.length": "0",
		}},
		{"CreateChannel", `{"number":"*","trunk":{"uri":"sip:198.51.100.7"},"inbound":{"callFlow":[{"command":"bridge","options":{"to":"{to}","record":true,"recordStereo":true}}]}}`, nil},
		{"CreateChannel", `{"number":"1000","codecs":["opus","G722","PCMU","PCMA"],"inbound":{"sources":["192.0.2.0/24","2001:db8::/32","192.0.2.1"]}}`, nil},
		{"CreateChannel", `{"number":"1 0","codecs":["mp3"],"trunk":{"uri":"http://x"},"inbound":{"sources":["192.0.2.1/24","net"],"username":"a\"b"}}`, map[string]string{
			"number": "form", "codecs.0": "opus", "trunk.uri": "form", "inbound.sources.0": "192.0.2.0/24", "inbound.sources.1": "network", "inbound.username": "form",
		}},
		{"PatchCallRecording", `{"status":"available","pauseBehavior":"loud"}`, map[string]string{"status": "paused, ongoing, completed", "pauseBehavior": "silence, skip"}},
	}
	known := schemas(t)
	for _, test := range tests {
		found := faults{}
		tree, err := readBody(httptest.NewRecorder(), post(test.body), found)
		if err != nil {
			t.Errorf("%s %.80s: %v", test.schema, test.body, err)
			continue
		}
		checkBody(known[test.schema].Value, tree, found)
		if len(found) != len(test.want) {
			t.Errorf("%s %.80s: faults %v, want %v", test.schema, test.body, found, test.want)
		}
		for member, part := range test.want {
			if !strings.Contains(strings.Join(found[member], "; "), part) || len(found[member]) != 1 {
				t.Errorf("%s %.80s: of %s is said %q, want one with %q", test.schema, test.body, member, found[member], part)
			}
		}
	}
}

// TestOneSpelling: what bodies mean decides on what they become, not how they
// are written.
func TestOneSpelling(t *testing.T) {
	var first string
	for _, body := range []string{
		`{"maxLength":10,"stereo":true}`,
		"\n{ \"stereo\" : true, \"maxLength\" : 10 }\n",
		`{"maxLength":1e1,"stereo":true,"x":null}`,
		`{"maxLength":10.0,"\u0073tereo":true}`,
	} {
		tree, err := readBody(httptest.NewRecorder(), post(body), faults{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := encode(tree)
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = string(text)
		}
		if string(text) != first {
			t.Errorf("%s became %s, want %s", body, text, first)
		}
	}
}

// TestNumbersProperty: every whole number of 64 bits comes through, however
// many zeros it is written with.
func TestNumbersProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64().Draw(t, "n")
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, spelling := range []string{string(text), string(text) + ".0", string(text) + "e0", string(text) + "0e-1"} {
			got, why := number(spelling)
			if why != "" || strings.TrimPrefix(got.String(), "-0") != strings.TrimPrefix(string(text), "-0") {
				t.Fatalf("%s became %s %s", spelling, got, why)
			}
		}
	})
}

func TestQuery(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapi.Document())
	if err != nil {
		t.Fatal(err)
	}
	calls := doc.Paths.Value("/workspaces/{workspaceId}/channels/calls").Get.Parameters
	const upper, lower = "0190A1B2-0000-7000-8000-0000000000AB", "0190a1b2-0000-7000-8000-0000000000ab"
	good := map[string][]string{
		"limit": {"1000"}, "status": {"ongoing", "ringing"}, "type": {"sip"}, "direction": {"incoming"}, "to": {"1"}, "from": {"2"},
		"duration": {"0"}, "id": {upper}, "tag": {"a,b", "c"}, "channelId": {upper, lower}, "startAt": {"2026-05-04T03:02:01Z"},
		"endAt": {"2026-05-04T03:02:01.123+02:00"}, "pageToken": {"x"}, "unknown": {"y"},
	}
	found := faults{}
	query := checkQuery(calls, good, found)
	if len(found) != 0 {
		t.Errorf("faults in a good query: %v", found)
	}
	if query.Get("id") != lower || !reflect.DeepEqual(query["channelId"], []string{lower, lower}) || query.Has("unknown") {
		t.Errorf("query became %v", query)
	}
	for name, values := range map[string][]string{
		"limit": {"0"}, "status": {"gone"}, "type": {"fax"}, "direction": {"up"}, "to": {""}, "from": {strings.Repeat("1", 101)},
		"duration": {"-1"}, "id": {"7"}, "tag": {""}, "channelId": {lower, "x"}, "startAt": {"yesterday"}, "endAt": {"2026-05-04"}, "pageToken": {strings.Repeat("x", 8001)},
	} {
		found := faults{}
		checkQuery(calls, map[string][]string{name: values}, found)
		if len(found) != 1 {
			t.Errorf("%s=%.30q: faults %v", name, values, found)
		}
	}
	for _, bad := range []string{"1001", "1.5", "1e2", "+5", " 5", "ten", "", "99999999999999999999"} {
		found := faults{}
		checkQuery(calls, map[string][]string{"limit": {bad}}, found)
		if len(found["limit"]) != 1 {
			t.Errorf("limit=%q: faults %v", bad, found)
		}
	}
	found = faults{}
	checkQuery(calls, map[string][]string{"limit": {"5", "6"}}, found)
	if len(found["limit"]) != 1 {
		t.Errorf("limit given twice: faults %v", found)
	}
}

func TestRequestID(t *testing.T) {
	for _, id := range []string{"a", "0190a1b2-0000-7000-8000-0000000000ab", "trace/1:2=+."} {
		if got := requestID(id); got != id {
			t.Errorf("%q became %q", id, got)
		}
	}
	for _, id := range []string{"", "a b", "a\nb", "ü", `"`, strings.Repeat("x", 129)} {
		got := requestID(id)
		if _, err := voice.CanonicalID(got); err != nil {
			t.Errorf("%q became %q", id, got)
		}
	}
}

// FuzzBody: whatever a body is, it is an object, a fault of the client, or
// both, and an object that was taken once is taken again as it was.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{``, `{}`, `{"maxLength":1,"stereo":true}`, `{"a":{"b":[1,2.5,1e400,null]}}`, `{"a":1,"a":2}`, `[`, "\xff"} {
		f.Add(seed)
	}
	known := schemas(f)
	bridge, channel := known["BridgeCall"].Value, known["CreateChannel"].Value
	f.Fuzz(func(t *testing.T, body string) {
		found := faults{}
		tree, err := readBody(httptest.NewRecorder(), post(body), found)
		if err != nil {
			if code := voice.CodeOf(err); code != voice.CodeInvalidJSON && code != voice.CodeBodyTooLarge {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		checkBody(bridge, tree, found)
		checkBody(channel, tree, found)
		text, err := encode(tree)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readBody(httptest.NewRecorder(), post(string(text)), faults{})
		if err != nil && len(text) <= maxBody {
			t.Fatalf("%q became %q: %v", body, text, err)
		}
		if err == nil && !reflect.DeepEqual(tree, again) {
			t.Fatalf("%q became %v, then %v", body, tree, again)
		}
	})
}
