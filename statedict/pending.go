package statedict

import (
	"errors"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// This file goes away as its functions land; the signatures stay.

var errPending = errors.New("not built yet")

func pickleVerdict(module, name string) string          { return "safe" }
func pickleUnsafe(root pickle.Value) []pickle.GlobalRef { return nil }
func pickleEmit(root pickle.Value) ([]byte, []*pickle.Storage, error) {
	return nil, nil, errPending
}
func pickleEmitLegacy(root pickle.Value) ([]byte, []*pickle.Storage, error) {
	return nil, nil, errPending
}
