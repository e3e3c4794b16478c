package recorder

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tapedeck/internal/journal"
	"tapedeck/internal/voice"
)

// Interrupted is a journal found at start-up.
type Interrupted struct {
	Recording voice.RecordingID // from the file's name
	Path      string
	Header    journal.Header // zero when Err is set
	Report    journal.Report
	Began     bool  // capture began: there is something to render
	Ended     bool  // it was stopped; only its file was not made
	Err       error // nothing of it can be read, as after a crash while it was made
}

// Recover looks at every journal of a directory and repairs those without an
// end record. It must run before a Recorder writes there. A journal that cannot
// be read does not stop it: that is said in its Err.
func Recover(dir string) ([]Interrupted, error) {
	files, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("recover journals: %w", err)
	}
	var found []Interrupted
	for _, f := range files {
		id, ok := strings.CutSuffix(f.Name(), journal.Extension)
		if !ok || f.IsDir() {
			continue
		}
		found = append(found, recoverOne(filepath.Join(dir, f.Name()), voice.RecordingID(id)))
	}
	return found, nil
}

func recoverOne(path string, id voice.RecordingID) Interrupted {
	i := Interrupted{Recording: id, Path: path}
	h, end, err := journal.Ending(path)
	if err != nil {
		i.Err = err
		return i
	}
	i.Header = h
	if end != nil {
		// The end record says what matters, so a finished journal is not read.
		i.Ended, i.Began = true, !end.Detail.Wall.IsZero()
		i.Report = journal.Report{Path: path, Begun: i.Began, Ended: true, Last: end.At}
		return i
	}
	if i.Report, i.Err = journal.Repair(path, nil); i.Err != nil {
		return i
	}
	i.Began, i.Ended = i.Report.Begun, i.Report.Ended
	return i
}
