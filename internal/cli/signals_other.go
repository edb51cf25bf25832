//go:build !unix

package cli

import (
	"os"
	"syscall"
)

// endSignals are what ends a command early; it then cleans up after itself.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}
