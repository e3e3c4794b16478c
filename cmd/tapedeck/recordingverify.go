package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"tapedeck/internal/receipt"
	"tapedeck/internal/verify"
)

type recordingVerifyCmd struct {
	File    string  `arg:"" help:"The recording."`
	Receipt string  `arg:"" help:"Its receipt."`
	Key     *string `help:"Public key that must have signed: a file (PEM or base64) or the base64 itself." placeholder:"FILE|BASE64"`
	Journal *string `help:"The journal that the file was made from." placeholder:"FILE"`
	JSON    bool    `name:"json" help:"Print JSON."`
}

// Run verifies. That something does not agree is an error of the command.
func (c *recordingVerifyCmd) Run(ctx context.Context, out io.Writer) error {
	key, err := publicKey(c.Key)
	if err != nil {
		return err
	}
	o := verify.Options{File: c.File, Receipt: c.Receipt, Key: key}
	if c.Journal != nil {
		if o.Journal = *c.Journal; o.Journal == "" {
			return errors.New("--journal is empty: give the journal, or leave it out")
		}
	}
	show, finish := progress("verifying")
	o.Progress = show
	report, err := verify.Run(ctx, o)
	finish()
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		err = report.Print(out)
	}
	if err == nil && !report.Verified {
		err = fmt.Errorf("%s is not verified: %s", c.File, strings.Join(report.Faults(), ", "))
	}
	return err
}

// publicKey reads a key from a file of that name, or from the text itself. An
// empty one, as of a shell variable that was not set, is not the same as none:
// whoever asks for a key must not be told that all is well without.
func publicKey(flag *string) (receipt.PublicKey, error) {
	if flag == nil {
		return nil, nil
	}
	given := *flag
	if given == "" {
		return nil, errors.New("--key is empty: give the public key that must have signed, or leave it out")
	}
	text, err := os.ReadFile(given)
	if err != nil {
		text = []byte(given)
	}
	key, keyErr := receipt.ParsePublicKey(text)
	if keyErr != nil && err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--key: %w", err)
	}
	if keyErr != nil && err != nil {
		return nil, fmt.Errorf("--key %s is neither a file nor a key: %w", given, keyErr)
	}
	if keyErr != nil {
		return nil, fmt.Errorf("--key %s: %w", given, keyErr)
	}
	return key, nil
}
