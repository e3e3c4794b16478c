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
	File    string `arg:"" help:"The recording."`
	Receipt string `arg:"" help:"Its receipt."`
	Key     string `help:"Public key that must have signed: a file (PEM or base64) or the base64 itself." placeholder:"FILE|BASE64"`
	Journal string `help:"The journal that the file was made from." placeholder:"FILE"`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run verifies. That something does not agree is an error of the command.
func (c *recordingVerifyCmd) Run(ctx context.Context, out io.Writer) error {
	key, err := publicKey(c.Key)
	if err != nil {
		return err
	}
	show, finish := progress("verifying")
	report, err := verify.Run(ctx, verify.Options{
		File: c.File, Receipt: c.Receipt, Key: key, Journal: c.Journal, Progress: show,
	})
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

// publicKey reads a key from a file of that name, or from the text itself.
func publicKey(given string) (receipt.PublicKey, error) {
	if given == "" {
		return nil, nil
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
