package pickle

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The pickles of the hostile corpus: no panic, and the verdict and globals that the manifest wants of the pickle itself.
func TestHostileCorpus(t *testing.T) {
	dir := filepath.Join(corpus(t), "hostile")
	f, err := os.Open(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Scan()
	for sc.Scan() {
		col := strings.Split(sc.Text(), "\t")
		file, class, expect, codes, globals := col[0], col[1], col[4], col[5], col[7]
		if class != "exec" && class != "pickle-bomb" && class != "layout" && class != "names" {
			continue
		}
		t.Run(file, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range samplesOf(file, data) {
				p, err := Load(s.data, nil)
				code := ""
				if err != nil {
					code = err.(*Error).Code
				}
				t.Logf("%s: %v %v", s.name, err, p.Globals)
				for _, f := range p.Findings {
					t.Logf("%s %s", f.Code, f.Message)
				}
				if err != nil && !strings.Contains(codes, code) && globals == "-" {
					t.Errorf("code %s, want one of %s", code, codes)
				}
				if err == nil && expect == "reject" {
					t.Errorf("accepted, want %s", codes)
				}
				if s.legacy || globals == "-" {
					continue
				}
				have := ""
				for _, g := range p.Globals {
					have += escape(g.String()) + ";"
				}
				for _, want := range strings.Split(globals, ";") {
					if !strings.Contains(have, want+";") {
						t.Errorf("global %s is missing from %s", want, have)
					}
				}
			}
		})
	}
}

func escape(s string) string {
	return strings.NewReplacer("\x00", `\x00`, "о", `\u043e`).Replace(s)
}
