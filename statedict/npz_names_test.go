package statedict

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Any list of keys gives distinct names of files; a key that is one keeps its name.
func TestFileStems(t *testing.T) {
	for keys, want := range map[string]string{
		"layers.0.weight|fc.bias":    "layers.0.weight|fc.bias",
		"../x|/abs|a\\b":             "_2e._2fx|_2fabs|a_5cb",
		".hidden|end.|.":             "_2ehidden|end_2e|_2e",
		"w|W|w-2|W":                  "w|W-3|w-2|W-4",
		"a/b|a_2fb":                  "a_2fb-2|a_2fb",
		"aux.0.weight|CON|com1.x|au": "_aux.0.weight|_CON|_com1.x|au",
		"\x1b[2J|é|":                 "_1b_5b2J|_c3_a9|_",
	} {
		if got := strings.Join(fileStems(strings.Split(keys, "|")), "|"); got != want {
			t.Errorf("%q: %q, want %q", keys, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "A", ".", "/", "-", "_", "2", "f", "-2", "con", "\x00", "é", strings.Repeat("x", 90)}
	for range 2000 {
		seen := map[string]bool{}
		var keys []string
		for range 1 + r.IntN(30) {
			key := ""
			for range r.IntN(5) {
				key += alphabet[r.IntN(len(alphabet))]
			}
			if !seen[key] {
				seen[key] = true
				keys = append(keys, key)
			}
		}
		stems := map[string]bool{}
		for i, s := range fileStems(keys) {
			low := strings.ToLower(s)
			if stems[low] || len(s) > 196 || s == "" || s[0] == '.' || s[len(s)-1] == '.' || fileStem(s) != s && len(s) <= maxStem {
				t.Fatalf("%q becomes %q among %q", keys[i], s, keys)
			}
			stems[low] = true
		}
	}
	// Many keys of one name take no more time for each than few.
	many := make([]string, 100_000)
	for i := range many {
		many[i] = strings.Repeat("/", 100) + fmt.Sprint(i)
	}
	if got := fileStems(many); got[0] == got[99_999] {
		t.Errorf("%q twice", got[0])
	}
}
