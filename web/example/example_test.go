package example

import (
	"bytes"
	"os"
	"testing"
)

// The example is what the generator of the fixtures makes.
func TestExample(t *testing.T) {
	made, err := os.ReadFile("../../testdata/lightning_like.ckpt")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, Data) {
		t.Error("example.ckpt differs from testdata/lightning_like.ckpt: copy it again")
	}
}
