// Package receipt is the form of a receipt's bytes: how the signature of the
// installation stands in them, and how it is verified.
//
//	render.Receipt → JSON → Sign → stored bytes → Parse → Verify
//
// The form is described in docs/format/receipt.md, for other programs. keys
// signs with it, verify and the command line check with it. It knows the frame
// of a receipt only, not what its members mean. It does no I/O, and must never
// be lenient: of one document there is exactly one signed form.
package receipt
