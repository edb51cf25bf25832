package texts

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sources is the code and the markup that show texts.
func sources(t *testing.T) (code, markup string) {
	t.Helper()
	files, err := filepath.Glob("../../wasm/page/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no sources", err)
	}
	var b strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
	}
	data, err := os.ReadFile("../index.html")
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), string(data)
}

var (
	inCode    = regexp.MustCompile(`\.(Text\(|Count\(|showError\([^"\n]*|notify\("\w*", )"([^"]+)"`)
	inMarkup  = regexp.MustCompile(`data-text(?:-label|-placeholder)?="([^"]+)"`)
	withWords = regexp.MustCompile(`data-text="([^"]+)"[^>]*>([^<]*)<`)
	place     = regexp.MustCompile(`\{[a-z]+\}`)
)

func catalog(t *testing.T, lang string) Catalog {
	t.Helper()
	c, err := Load(lang)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryTextIsThere(t *testing.T) {
	code, markup := sources(t)
	c := catalog(t, "en")
	for _, m := range inCode.FindAllStringSubmatch(code, -1) {
		switch name := m[2]; {
		case strings.HasSuffix(name, "."): // the rest is put together in the code
		case m[1] == "Count(":
			if !c.Has(name+".one") || !c.Has(name+".other") {
				t.Errorf("the code counts %q", name)
			}
		case !c.Has(name):
			t.Errorf("the code shows %q", name)
		}
	}
	for _, m := range inMarkup.FindAllStringSubmatch(markup, -1) {
		if !c.Has(m[1]) {
			t.Errorf("the markup shows %q", m[1])
		}
	}
	// The markup holds the English words as well, for the time before the program runs.
	for _, m := range withWords.FindAllStringSubmatch(markup, -1) {
		if got := html.UnescapeString(m[2]); got != c[m[1]] {
			t.Errorf("the markup says %q for %s, the texts say %q", got, m[1], c[m[1]])
		}
	}
}

func TestNoTextIsUnused(t *testing.T) {
	code, markup := sources(t)
	for name := range catalog(t, "en") {
		stem := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, ".one"), ".other"), ".remote")
		used := strings.Contains(code, `"`+stem+`"`) || strings.Contains(markup, `"`+name+`"`)
		for i := strings.IndexByte(stem, '.'); i >= 0 && !used; {
			used = strings.Contains(code, `"`+stem[:i+1]+`"`)
			next := strings.IndexByte(stem[i+1:], '.')
			if next < 0 {
				break
			}
			i += 1 + next
		}
		if !used {
			t.Errorf("nothing shows %q", name)
		}
	}
}

func TestLanguagesAgree(t *testing.T) {
	en := catalog(t, "en")
	files, _ := filepath.Glob("*.json")
	for _, f := range files {
		lang := strings.TrimSuffix(f, ".json")
		c := catalog(t, lang)
		for name, text := range en {
			if strings.TrimSpace(c[name]) == "" {
				t.Errorf("%s lacks %q", lang, name)
			}
			want, got := place.FindAllString(text, -1), place.FindAllString(c[name], -1)
			for _, p := range want {
				if !strings.Contains(c[name], p) {
					t.Errorf("%s: %q has the places %q, English has %q", lang, name, got, want)
				}
			}
		}
		for name := range c {
			if !en.Has(name) {
				t.Errorf("%s has %q, English does not", lang, name)
			}
		}
	}
}

func TestText(t *testing.T) {
	places := []string{"x", "1"}
	if (Catalog{"a": "{x}"}).Text("a", places...); places[0] != "x" {
		t.Errorf("the places are %q now", places)
	}
	c := Catalog{"a": "{x} of {y}", "n.one": "{n} key", "n.other": "{n} keys"}
	for got, want := range map[string]string{
		c.Text("a", "x", "{y}", "y", "2"): "{y} of 2", c.Text("b"): "b", c.Count("n", 1, "1"): "1 key", c.Count("n", 0, "0"): "0 keys",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
