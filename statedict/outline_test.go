package statedict_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

func outlined(nodes []statedict.OutlineNode) string {
	var b strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s%s %s", strings.Repeat("  ", n.Depth), n.Key, n.Type)
		if n.Shape != nil {
			fmt.Fprint(&b, n.Shape)
		}
		if n.Value != "" {
			fmt.Fprintf(&b, " = %s", n.Value)
		}
		if n.Items > 0 {
			fmt.Fprintf(&b, " (%d)", n.Items)
		}
		if n.Again {
			fmt.Fprintf(&b, " is %q", n.Ref)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// A value is listed as what it is: containers with what is in them, scalars as Python writes them, objects by their class.
func TestOutline(t *testing.T) {
	cp, _ := fixtureRow(t, "dataparallel_sgd.pth")
	nodes, more := cp.Outline("optimizer.param_groups", 1000)
	text := outlined(nodes)
	for _, line := range []string{" list (1)\n", "  [0] dict (", "    lr float = ", "    nesterov bool = False\n", "    params list (6)\n", "      [0] int = 0\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	want(t, "left out", more, 0)
	cut, more := cp.Outline("optimizer.param_groups", 5)
	want(t, "listed of 5", len(cut), 5)
	want(t, "left out then", more, len(nodes)-5)
	want(t, "inside the first, listed or not", cut[1].Items, nodes[1].Items)
	state, _ := cp.Outline("optimizer.state", 1000)
	if text := outlined(state); !strings.Contains(text, "momentum_buffer float32[4 3 3 3]\n") {
		t.Errorf("no tensor in\n%s", text)
	}
	one, _ := cp.Outline("arch", 10)
	want(t, "a scalar", outlined(one), " str = 'block'\n")
	none, _ := cp.Outline("no.such", 10)
	want(t, "what is not there", len(none), 0)

	cp, _ = fixtureRow(t, "numpy_namespace.pth")
	all, _ := cp.Outline("", 1000)
	if text := outlined(all); !strings.Contains(text, "argparse.Namespace") {
		t.Errorf("no foreign class in\n%s", text)
	}
}

// Neither cycles nor sharing nor depth make an outline large or slow.
func TestOutlineHostile(t *testing.T) {
	for _, name := range []string{"36-bomb-self-list.pth", "37-bomb-shared.pth", "38-bomb-deep.pth", "05-exec-newobj-ex.pth"} {
		cp, err := openHostile(t, name)
		if err != nil {
			continue
		}
		start := time.Now()
		nodes, more := cp.Outline("", 500)
		if len(nodes) > 500 || time.Since(start) > 2*time.Second {
			t.Errorf("%s: %d nodes and %d more, %v", name, len(nodes), more, time.Since(start))
		}
		for _, n := range nodes {
			if len(n.Value) > 2000 {
				t.Errorf("%s: a value of %d bytes", name, len(n.Value))
			}
		}
	}
}

func openHostile(t *testing.T, name string) (*statedict.Checkpoint, error) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "testdata", "hostile", name))
	if err != nil {
		t.Fatal(err)
	}
	return openBytes(name, data)
}
