package calltest

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"
	"time"

	"tapedeck/internal/bench"
	"tapedeck/internal/testkit"
)

// The command that measures capacity, at a size that says nothing of capacity:
// every frame is accounted for, on the wire and in the files. Limits of time are
// lifted, because the test shares its machine.
func TestBench(t *testing.T) {
	for name, pairs := range map[string]string{"ports of their own": "0", "shared ports": "2"} {
		t.Run(name, func(t *testing.T) { benchSmall(t, "TAPEDECK_MEDIA_SHARED_PORTS="+pairs) })
	}
}

func benchSmall(t *testing.T, setting string) {
	testkit.Timeout(t, 3*time.Minute)
	cmd := exec.CommandContext(t.Context(), Build(t), "bench", "--json", "--dir", t.TempDir(), "--from", "3", "--step", "3", "--most", "6",
		"--hold", "1s", "--sample=-1", "--rates", "4", "--max-cpu", "100", "--max-latency", "10s")
	cmd.Env = append(os.Environ(), setting)
	cmd.SysProcAttr = endsWithParent()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var r bench.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if r.Calls != 6 || len(r.Steps) != 2 || len(r.SetUps) != 1 || r.SetUps[0].Connected != 20 {
		t.Fatalf("%s", out)
	}
	for _, s := range r.Steps {
		if s.Sent == 0 || s.Lost != 0 || s.Available != s.Calls || s.Audited != s.Calls || s.AuditLost != 0 || s.ReceiptLost != 0 ||
			s.JournalBytes <= 0 || s.P50 <= 0 || s.SetUpP50 <= 0 {
			t.Errorf("%+v", s)
		}
	}
}
