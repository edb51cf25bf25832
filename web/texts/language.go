package texts

import "strings"

// Language is one that the page speaks.
type Language struct{ Tag, Name string }

// Languages are those there are, the first being the one for everybody else.
var Languages = []Language{{"en", "English"}, {"zh-Hant", "繁體中文"}, {"zh-Hans", "简体中文"}}

// Best is the language for a reader who prefers the given tags (BCP 47), in that order.
func Best(wanted ...string) string {
	for _, w := range wanted {
		parts := strings.Split(strings.ToLower(w), "-")
		switch parts[0] {
		case "en":
			return "en"
		case "zh":
			for _, p := range parts[1:] {
				switch p {
				case "hant":
					return "zh-Hant"
				case "hans":
					return "zh-Hans"
				}
			}
			for _, p := range parts[1:] {
				if p == "tw" || p == "hk" || p == "mo" {
					return "zh-Hant"
				}
			}
			return "zh-Hans"
		case "yue":
			return "zh-Hant"
		}
	}
	return Languages[0].Tag
}
