//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// endSignals are what ends a command early; it then cleans up after itself.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}

// A file size limit ends a process by a signal unless that is ignored; then it is an error of the write, which cleans up.
func init() { signal.Ignore(syscall.SIGXFSZ) }
