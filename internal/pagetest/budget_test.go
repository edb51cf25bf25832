package pagetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Budgets in bytes: what the page weighed when they were last set, and a tenth. Raising one is a decision, not a side effect.
const (
	programBudget    = 14_300_000 // the program as it is compiled
	compressedBudget = 3_700_000  // the program as it is fetched
	pageBudget       = 285_000    // everything else that the page needs, not compressed
)

// The built page keeps to its budgets.
func TestBudget(t *testing.T) {
	dist := "../../web/dist"
	if _, err := os.Stat(filepath.Join(dist, "build.json")); err != nil {
		t.Skip("the page is not built")
	}
	var program, compressed, page int64
	err := filepath.WalkDir(dist, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch name := d.Name(); {
		case strings.HasSuffix(name, ".wasm"):
			program += info.Size()
		case strings.HasSuffix(name, ".wasm.br"):
			compressed = info.Size()
		case strings.HasSuffix(name, ".wasm.gz"):
			if compressed == 0 {
				compressed = info.Size()
			}
		case strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".br") || name == ".gitkeep":
		default:
			page += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("program %d bytes, %d compressed; the rest of the page %d", program, compressed, page)
	for what, b := range map[string][2]int64{"program": {program, programBudget}, "compressed program": {compressed, compressedBudget}, "rest of the page": {page, pageBudget}} {
		if b[0] == 0 || b[0] > b[1] {
			t.Errorf("%s: %d bytes, budget %d", what, b[0], b[1])
		}
	}
}
