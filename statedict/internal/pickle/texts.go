package pickle

import "strings"

// Texts makes short strings by the block: there are two new ones for each tensor of a file, and one for each key that a step
// renames. A block lives as long as one of its strings does. The zero value is ready.
type Texts struct{ block strings.Builder }

const (
	textBlock = 8192
	longText  = 512 // from here on a string has memory of its own
)

// Add returns p as a string.
func (t *Texts) Add(p []byte) string {
	if len(p) == 0 || len(p) > longText {
		return string(p)
	}
	at := t.room(len(p))
	t.block.Write(p)
	return t.block.String()[at:]
}

// Join returns a and b as one string.
func (t *Texts) Join(a, b string) string {
	if n := len(a) + len(b); n == 0 || n > longText {
		return a + b
	}
	at := t.room(len(a) + len(b))
	t.block.WriteString(a)
	t.block.WriteString(b)
	return t.block.String()[at:]
}

// room sees that n bytes fit in the block and answers where they start.
func (t *Texts) room(n int) int {
	if t.block.Cap()-t.block.Len() < n {
		t.block = strings.Builder{}
		t.block.Grow(textBlock)
	}
	return t.block.Len()
}
