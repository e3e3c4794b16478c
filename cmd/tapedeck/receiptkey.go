package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"tapedeck/internal/keys"
)

// receiptKeyCmd shows the public half of the installation's receipt key.
type receiptKeyCmd struct {
	Data string `help:"Data directory (default ./data)." default:"./data" env:"TAPEDECK_DATA" placeholder:"DIR"`
	As   string `help:"How: pem, base64 (of its 32 bytes), fingerprint (as keyId in receipts) or json (all of them)." enum:"pem,base64,fingerprint,json" default:"pem" placeholder:"FORM"`
}

// Run prints the key.
func (c *receiptKeyCmd) Run(_ context.Context, out io.Writer) error {
	key, err := keys.Load(c.Data)
	if err != nil {
		return err
	}
	public := key.Public()
	text := public.PEM()
	switch c.As {
	case "base64":
		text = public.Base64() + "\n"
	case "fingerprint":
		text = public.ID() + "\n"
	case "json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(public.Published())
	}
	_, err = fmt.Fprint(out, text)
	return err
}
