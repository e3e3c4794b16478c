package main

import (
	"bytes"
	"fmt"
	"go/format"
	"net/http"
	"regexp"
)

// code is one entry of errors.yaml.
type code struct {
	Code   string
	Status int
	Name   string // of the Go constant, after Code
	Means  string
	Do     string
}

func check(codes []code) error {
	form := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for i, c := range codes {
		switch {
		case !form.MatchString(c.Code):
			return fmt.Errorf("entry %d: %q is not a code: lower-case words joined by _", i+1, c.Code)
		case seen[c.Code] || seen[c.Name]:
			return fmt.Errorf("%s stands twice", c.Code)
		case c.Status < 400 || http.StatusText(c.Status) == "":
			return fmt.Errorf("%s: %d is no HTTP error status", c.Code, c.Status)
		case c.Name == "" || c.Means == "" || c.Do == "":
			return fmt.Errorf("%s: name, means and do are needed", c.Code)
		}
		seen[c.Code], seen[c.Name] = true, true
	}
	return nil
}

// constants writes the type and the list that a package has of the codes.
func constants(b *bytes.Buffer, pkg string, codes []code) {
	fmt.Fprintf(b, `// Code generated from api/errors.yaml; DO NOT EDIT.

package %s

// Code identifies an error to programs. The list is api/errors.yaml.
type Code string

// The error codes.
const (
`, pkg)
	for _, c := range codes {
		fmt.Fprintf(b, "\tCode%s Code = %q // %d\n", c.Name, c.Code, c.Status)
	}
	b.WriteString(")\n\n")
}

// clientCodes writes the constants for users of the API.
func clientCodes(codes []code) ([]byte, error) {
	var b bytes.Buffer
	constants(&b, "client", codes)
	return format.Source(b.Bytes())
}

// serverCodes writes the constants and their HTTP statuses.
func serverCodes(codes []code) ([]byte, error) {
	var b bytes.Buffer
	constants(&b, "voice", codes)
	b.WriteString(`// Status returns the HTTP status that goes with the code. A code that is not in
// the list is a fault of the server.
func (c Code) Status() int {
	switch c {
`)
	for _, c := range codes {
		fmt.Fprintf(&b, "\tcase Code%s:\n\t\treturn %d\n", c.Name, c.Status)
	}
	b.WriteString("\t}\n\treturn 500\n}\n\n")
	b.WriteString("// Codes lists every error code.\nfunc Codes() []Code {\n\treturn []Code{\n")
	for _, c := range codes {
		fmt.Fprintf(&b, "\t\tCode%s,\n", c.Name)
	}
	b.WriteString("\t}\n}\n")
	return format.Source(b.Bytes())
}

// page writes the table for users.
func page(codes []code) []byte {
	var b bytes.Buffer
	b.WriteString(`<!-- Generated from api/errors.yaml; do not edit. -->

# Error codes

Every error body of the [HTTP API](api.md) is ` + "`{\"code\", \"message\"}`" + `, with ` + "`details`" + ` where there are
any. Programs go by ` + "`code`" + `, people by ` + "`message`" + `.

| code | status | what it means | what to do |
|---|---|---|---|
`)
	for _, c := range codes {
		fmt.Fprintf(&b, "| `%s` | %d %s | %s | %s |\n", c.Code, c.Status, http.StatusText(c.Status), c.Means, c.Do)
	}
	return b.Bytes()
}
