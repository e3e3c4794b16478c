package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// byHand says where the client does what no generated method does: audio, which
// is no JSON, and uploads.
func byHand(operation string) (file, method string) {
	switch {
	case strings.HasPrefix(operation, "headRecording"), operation == "headRenderAudio":
		return "download.go", "Download"
	case operation == "getRecordingAudio", operation == "getRecordingFlac", operation == "getRecordingMp3",
		operation == "getRecordingOgg", operation == "getRenderAudio":
		return "audio.go", "Audio"
	case operation == "uploadMedia":
		return "upload.go", "UploadMedia"
	case operation == "recordCallChannelCall":
		return "client.gen.go", "RecordCallSession"
	}
	return "client.gen.go", strings.ToUpper(operation[:1]) + operation[1:]
}

// TestClientHasEveryOperation: each operation of the document has its method.
func TestClientHasEveryOperation(t *testing.T) {
	n := 0
	paths := at(t, tree(t, "openapi.yaml"), "paths").(map[string]any)
	for path, item := range paths {
		for _, verb := range item.(map[string]any) {
			operation, ok := verb.(map[string]any)
			if !ok || operation["operationId"] == nil {
				continue // the parameters that all have in common
			}
			n++
			file, method := byHand(operation["operationId"].(string))
			if !strings.Contains(client(t, file), "func (c *Client) "+method+"(ctx context.Context") {
				t.Errorf("%s of %s: client/%s has no method %s", operation["operationId"], path, file, method)
			}
		}
	}
	if n < 60 {
		t.Errorf("%d operations were looked at", n)
	}
}

// TestClientCanSayNo: a member that is true unless it is given is a pointer:
// otherwise false would be left out.
func TestClientCanSayNo(t *testing.T) {
	n := 0
	schemas := at(t, tree(t, "openapi.yaml"), "components", "schemas").(map[string]any)
	for name, schema := range schemas {
		properties, _ := schema.(map[string]any)["properties"].(map[string]any)
		for member, property := range properties {
			if p, ok := property.(map[string]any); !ok || p["default"] != true {
				continue
			}
			n++
			field := regexp.MustCompile(`(?m)\*bool +.json:"` + member + `,omitempty"`)
			if !field.MatchString(client(t, "client.gen.go")) {
				t.Errorf("%s.%s is true by default: say so in client.overlay.yaml", name, member)
			}
		}
	}
	if n == 0 {
		t.Error("no member was looked at")
	}
}

func client(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "client", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
