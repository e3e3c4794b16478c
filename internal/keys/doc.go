// Package keys keeps the installation's receipt key: the Ed25519 key that signs
// what Tapedeck says about its recordings.
//
//	Open: DIR/receipt-key.pem, made at the first start → Key → Sign(receipt) → signed receipt
//
// The server opens it once and hands it to what signs; the command line loads
// it to print its public half. A key that is there is never written over, since
// every receipt made so far would look forged. It starts no goroutine, never
// logs, and must not give the private half to anybody.
package keys
