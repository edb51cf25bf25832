//go:build unix

package cli

import (
	"bytes"
	"os"
	"sync"
	"syscall"
	"testing"
)

// waiting is a stream that nobody writes to.
type waiting struct {
	once  sync.Once
	begun chan struct{}
	never chan struct{}
}

func (w *waiting) Read([]byte) (int, error) {
	w.once.Do(func() { close(w.begun) })
	<-w.never
	return 0, os.ErrClosed
}

// Ctrl+C ends a command that waits for its standard input.
func TestInterruptWhileReading(t *testing.T) {
	for _, args := range [][]string{{"ls", "-"}, {"edit", "-", "-o", "never.pth"}, {"check", "../../testdata/state_dict.pth", "--error", "-"},
		{"check", "../../testdata/state_dict.pth", "--against", "-"}} {
		w := &waiting{begun: make(chan struct{}), never: make(chan struct{})}
		var out, errs bytes.Buffer
		code := make(chan int)
		go func() { code <- Main(args, w, &out, &errs) }()
		<-w.begun
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if c := <-code; c != exitFailed || errs.String() != "weightroom: interrupted\n" || out.Len() > 0 {
			t.Errorf("%q: exit code %d, %q%q", args, c, &out, &errs)
		}
		close(w.never)
	}
}
