package pagetest

import (
	"strings"
	"testing"
)

// An error on show, and what is said by the way, are said in the language that is chosen.
func TestSpeakWithError(t *testing.T) {
	b := newTab(t)
	b.choose(write(t, "broken.pth", []byte("nothing")))
	b.wait("error")
	english := b.role("error-message")
	b.speak("zh-Hant")
	if got := b.role("error-title"); b.str("document.querySelector('[data-role=error]').hidden") != "false" || !strings.Contains(got, "broken.pth") || !strings.Contains(got, "開啟") {
		t.Errorf("the error is titled %q", got)
	}
	b.speak("en")
	if got := b.role("error-message"); got != english {
		t.Errorf("the error says %q, not %q", got, english)
	}
	b.until("document.documentElement.hasAttribute('data-offline')")
	b.choose(safetensors(t, "a.w"))
	b.choose(fileNamed(t, "second.safetensors", "b.w"))
	b.until("document.querySelector('[data-role=notice-text]').innerText.startsWith('second.safetensors')")
	b.speak("zh-Hant")
	if got := b.role("notice"); strings.Contains(got, "is open") || strings.Contains(got, "Compare") || !strings.Contains(got, "second.safetensors") {
		t.Errorf("the notice says %q", got)
	}
	if b.str("document.querySelector('[data-role=error]').hidden") != "true" {
		t.Error("an error that is over came back")
	}
	b.clean()
}

// A form that is open when another language is chosen keeps what was filled in, and says the rest in that language.
func TestSpeakWithOpenForm(t *testing.T) {
	b := newTab(t)
	b.choose(safetensors(t, "net.a.w", "net.a.b", "net.b.w", "head.w"))
	b.click("add-prefix")
	b.fill("prefix", "model.")
	b.fill("match", "net.**")
	b.until("document.querySelector('.preview-line').innerText.startsWith('3 of')")
	b.speak("zh-Hant")
	b.wait("ready")
	field := func(name string) string { return b.str("document.querySelector('[data-field='+$1+']').value", name) }
	if got := field("prefix") + " " + field("match"); got != "model. net.**" {
		t.Errorf("the form holds %q", got)
	}
	text := b.str("document.querySelector('.panel').innerText")
	for _, want := range []string{"前綴", "套用"} {
		if !strings.Contains(text, want) {
			t.Errorf("the form does not say %q: %q", want, text)
		}
	}
	for _, left := range []string{"Prefix", "get a new name", "Cancel"} {
		if strings.Contains(text, left) {
			t.Errorf("the form still says %q", left)
		}
	}
	if got := b.str("document.querySelectorAll('.preview .change').length"); got != "3" {
		t.Errorf("%s changes in the preview", got)
	}
	b.shot("form-zh-Hant")
	b.apply()
	if got := b.paths("tensor"); strings.Join(got, " ") != "model.net.a.w model.net.a.b model.net.b.w head.w" {
		t.Errorf("rows %q", got)
	}

	// The same for an export, before and after it is written.
	b.click("export")
	b.fill("name", "out.safetensors")
	b.until("document.querySelector('.panel .fact')")
	b.speak("en")
	b.until("document.querySelector('.panel').innerText.includes('Writes a new file')")
	if got := field("name"); got != "out.safetensors" {
		t.Errorf("the file name is %q", got)
	}
	b.apply()
	b.until("!document.querySelector('.saved').hidden")
	b.speak("zh-Hans")
	if got := b.str("document.querySelector('.saved').innerText"); strings.Contains(got, "saved") || !strings.Contains(got, "out.safetensors") {
		t.Errorf("the end says %q", got)
	}
	b.speak("en")
	b.clean()
}
