package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"tapedeck/internal/receipt"
)

// FileName is the name of the key's file in the data directory.
const FileName = "receipt-key.pem"

// blockType is the label of a private key in PKCS#8, RFC 7468 §10.
const blockType = "PRIVATE KEY"

// maxFile is more than any such file has.
const maxFile = 64 << 10

// Key is the installation's receipt key. It may be used from any goroutine.
type Key struct{ private ed25519.PrivateKey }

// Open loads the key of a data directory, and makes it where there is none.
// Call it with the directory locked, as the server does.
func Open(dir string) (*Key, error) {
	k, err := Load(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := create(dir); err != nil {
		return nil, fmt.Errorf("make the receipt key %s: %w", Path(dir), err)
	}
	return Load(dir) // what signs is what is on the disk
}

// Path is where the key of a data directory is.
func Path(dir string) string { return filepath.Join(dir, FileName) }

// Load loads the key of a data directory. A directory without one is
// fs.ErrNotExist. Errors say what to do.
func Load(dir string) (_ *Key, err error) {
	path := Path(dir)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no receipt key in %s: the first start of the server makes it: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the receipt key: %w; the server's user must be able to read it", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the receipt key %s: %w", path, err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("the receipt key %s is no file: move it away", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0: // that system has other rights
		return nil, fmt.Errorf("the receipt key %s can be read or written by other users (mode %#o): whoever has read it can sign receipts; if nobody has, run chmod 600 %s", path, info.Mode().Perm(), path)
	case info.Size() > maxFile:
		return nil, damaged(path, fmt.Errorf("it has %d bytes", info.Size()))
	}
	text := make([]byte, info.Size())
	if n, err := f.ReadAt(text, 0); n < len(text) {
		return nil, fmt.Errorf("read the receipt key %s: %w", path, err)
	}
	private, err := parse(text)
	if err != nil {
		return nil, damaged(path, err)
	}
	return &Key{private: private}, nil
}

// damaged says what can be done about a key that cannot be read.
func damaged(path string, why error) error {
	return fmt.Errorf("the receipt key %s is damaged (%w): put your copy of it back; without one, move the file away, the next start makes a new key, and keep the old public key for the receipts that it signed", path, why)
}

// parse reads a private key as create writes it.
func parse(text []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != blockType {
		return nil, errors.New("there is no PRIVATE KEY in it")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is no Ed25519 key but a %T", key)
	}
	return private, nil
}

// create makes a key and its file, whole and safe on the disk, or not at all.
func create(dir string) (err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+FileName+".*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = place(f.Name(), Path(dir))
	}
	if left := os.Remove(f.Name()); left != nil && !errors.Is(left, fs.ErrNotExist) {
		err = errors.Join(err, left)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// place gives a file its name unless there is one of that name: a link fails
// then, in one step. Where links do not exist a look before the rename must do.
func place(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return nil // somebody was faster: theirs is the key
	}
	if _, there := os.Lstat(to); !errors.Is(there, fs.ErrNotExist) {
		return errors.Join(err, there)
	}
	return os.Rename(from, to)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Public is the public half.
func (k Key) Public() receipt.PublicKey {
	public, ok := k.private.Public().(ed25519.PublicKey)
	if !ok {
		panic("keys: an Ed25519 key without a public half")
	}
	return receipt.PublicKey(public)
}

// Format shows the fingerprint, whatever the verb: the private half must not get
// into a log or an error by an accident of printing.
func (k Key) Format(w fmt.State, _ rune) {
	// A writer that fails has its own way to say so.
	_, _ = fmt.Fprintf(w, "receipt key %s", k.Public().ID())
}

// Sign returns a receipt with its signature. The receipt is an indented JSON
// object as json.MarshalIndent(…, "", "  ") writes it, without a member
// "signature"; what is returned is what is stored and served, byte by byte.
func (k Key) Sign(document []byte) ([]byte, error) { return receipt.Sign(document, k.private) }
