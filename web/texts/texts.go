// Package texts holds every sentence the page shows, one file for each language.
package texts

import (
	"embed"
	"encoding/json"
	"slices"
	"strings"
)

//go:embed *.json
var files embed.FS

// Catalog is the texts of a language, by name.
type Catalog map[string]string

// Load reads the texts of a language: "en".
func Load(lang string) (Catalog, error) {
	b, err := files.ReadFile(lang + ".json")
	if err != nil {
		return nil, err
	}
	var c Catalog
	return c, json.Unmarshal(b, &c)
}

// Has tells whether there is a text of that name.
func (c Catalog) Has(name string) bool { _, ok := c[name]; return ok }

// Text is the text of that name with its {places} filled: Text("keys", "n", "3"). A name that is not there shows as itself.
func (c Catalog) Text(name string, places ...string) string {
	s, ok := c[name]
	if !ok {
		return name
	}
	places = slices.Clone(places) // the caller may say it again, in another language
	for i := 0; i+1 < len(places); i += 2 {
		places[i] = "{" + places[i] + "}"
	}
	if len(places) == 0 {
		return s
	}
	return strings.NewReplacer(places...).Replace(s)
}

// Count is the text of that name for n things, whose number it shows as shown: "1 key", "62 keys".
func (c Catalog) Count(name string, n int64, shown string) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return c.Text(name+form, "n", shown)
}
