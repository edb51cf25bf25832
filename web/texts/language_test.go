package texts

import "testing"

func TestBest(t *testing.T) {
	for want, lists := range map[string][][]string{
		"en":      {{}, {"de-DE"}, {"en-GB", "zh-TW"}, {""}, {"fr", "en"}},
		"zh-Hant": {{"zh-TW"}, {"zh-Hant-CN"}, {"zh-HK", "en"}, {"fr", "zh-MO"}, {"yue"}},
		"zh-Hans": {{"zh"}, {"zh-CN"}, {"zh-Hans-TW"}, {"ZH-sg"}},
	} {
		for _, l := range lists {
			if got := Best(l...); got != want {
				t.Errorf("%q gets %s, want %s", l, got, want)
			}
		}
	}
	for _, l := range Languages {
		if _, err := Load(l.Tag); err != nil || Best(l.Tag) != l.Tag {
			t.Errorf("%s: %v, best is %s", l.Tag, err, Best(l.Tag))
		}
	}
}
