package model

import "testing"

func TestAddress(t *testing.T) {
	for text, want := range map[string]string{
		" https://example.org/a.pth\n": "https://example.org/a.pth",
		"http://127.0.0.1:8000/x?y=1":  "http://127.0.0.1:8000/x?y=1",
		"layers.0.weight":              "", "https://": "", "javascript:alert(1)": "", "file:///etc/passwd": "", "https://u:p@example.org/": "",
		"see https://example.org/a.pth": "", "https://example.org/a b": "", "": "",
	} {
		if got, ok := Address(text); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %t; want %q", text, got, ok, want)
		}
	}
}
