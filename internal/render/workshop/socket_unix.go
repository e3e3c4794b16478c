//go:build unix

package workshop

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
)

// supported: open files can be handed to another process.
const supported = true

// maxFiles is how many files come with a message: a source, a file and its peaks.
const maxFiles = 3

// line is one end of the socket between two processes.
type line struct{ *net.UnixConn }

// pair makes a socket: an end for this process, and one for another.
func pair() (own line, other *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return line{}, nil, os.NewSyscallError("socketpair", err)
	}
	other = os.NewFile(uintptr(fds[1]), "workshop")
	own, err = lineOf(os.NewFile(uintptr(fds[0]), "workshop"))
	if err != nil {
		return line{}, nil, errors.Join(err, other.Close())
	}
	return own, other, nil
}

// lineOf makes an end of a socket usable, and closes the file that it was.
func lineOf(f *os.File) (line, error) {
	c, err := net.FileConn(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return line{}, err
	}
	u, ok := c.(*net.UnixConn)
	if !ok {
		return line{}, errors.Join(fmt.Errorf("%T is no socket between processes", c), c.Close())
	}
	return line{u}, nil
}

// send sends a message and open files.
func (l line) send(v any, files ...*os.File) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(body) > maxMessage {
		return fmt.Errorf("a message of %d bytes is too long", len(body))
	}
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
	if len(files) == 0 {
		_, err = l.Write(frame)
		return err
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	n, _, err := l.WriteMsgUnix(frame, syscall.UnixRights(fds...), nil)
	runtime.KeepAlive(files)
	if err == nil && n < len(frame) {
		_, err = l.Write(frame[n:])
	}
	return err
}

// receive reads a message into v, and the files that came with it, which are the
// caller's. io.EOF: the other side has gone.
func (l line) receive(v any) (files []*os.File, err error) {
	var head [4]byte
	rights := make([]byte, syscall.CmsgSpace(4*maxFiles))
	n, oobn, _, _, err := l.ReadMsgUnix(head[:], rights)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.EOF
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll(files))
			files = nil
		}
	}()
	if files, err = received(rights[:oobn]); err != nil {
		return files, err
	}
	if _, err := io.ReadFull(l, head[n:]); err != nil {
		return files, whole(err)
	}
	size := binary.BigEndian.Uint32(head[:])
	if size > maxMessage {
		return files, fmt.Errorf("a message of %d bytes is none of ours", size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(l, body); err != nil {
		return files, whole(err)
	}
	return files, json.Unmarshal(body, v)
}

// whole is the error of a message that ended in the middle.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// received makes files of what came beside a message.
func received(oob []byte) (files []*os.File, err error) {
	list, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	for i := range list {
		fds, err := syscall.ParseUnixRights(&list[i])
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "ordered file"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
