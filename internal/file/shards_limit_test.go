package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// An index that names more files than any set has is refused before one of them is looked for, and an error names some of many
// missing shards.
func TestManyShards(t *testing.T) {
	index := func(n int) error {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":"%d.safetensors"`, i, i)
		}
		s, err := Open([]string{write(t, filepath.Join(t.TempDir(), "i.json"), `{"weight_map":{`+b.String()[1:]+`}}`)}, Options{})
		if err == nil {
			s.Close()
		}
		return err
	}
	var le *statedict.LimitError
	if err := index(10_001); !errors.As(err, &le) {
		t.Errorf("10,001 files: %v, want a LimitError", err)
	}
	var fe *statedict.FormatError
	if err := index(100); !errors.As(err, &fe) || !strings.Contains(err.Error(), "and 80 more") || len(err.Error()) > 1000 {
		t.Errorf("100 missing files: %v", err)
	}
}
