//go:build js

package page

import (
	"errors"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// showError says above everything what did not work, by the name of a text and its places, why, and what to do.
func (a *app) showError(err error, title string, places ...string) {
	if errors.Is(err, errCrashed) {
		return // crashed says so
	}
	box := role("error")
	a.told = func() {
		msg, hint, keys, more := a.words(err)
		setText(role("error-title"), a.text.Text(title, places...))
		setText(role("error-message"), msg)
		setText(role("error-hint"), hint)
		a.listKeys(role("error-keys"), keys, more)
		var seen *message.Scanned
		if e := (*message.Error)(nil); errors.As(err, &e) {
			seen = e.Seen
		}
		a.drawGlobals(role("error-globals"), seen)
	}
	a.told()
	show(find(box, "[data-action=reopen]"), false)
	show(find(box, "[data-action=retry]"), false)
	a.tellError(err)
	show(box, true)
}

func (a *app) hideError() { show(role("error"), false) }

// words is an error as the page says it. Text from a file is made safe to look at.
func (a *app) words(err error) (msg, hint string, keys []string, more int) {
	var e *message.Error
	if !errors.As(err, &e) {
		return model.VisibleAll(sentence(err.Error())), "", nil, 0
	}
	msg, hint, keys, more = sentence(e.Message), e.Hint, e.Keys, e.More
	if t := "error." + e.Code; a.text.Has(t) {
		msg, hint = a.text.Text(t), a.text.Text(t+".hint")
		if !a.text.Has(t + ".hint") {
			hint = e.Message
		}
	}
	return model.VisibleAll(msg), model.VisibleAll(sentence(hint)), keys, more
}

// sentence begins with a capital and ends with a full stop, or with the colon in front of a list.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	if c := s[0]; 'a' <= c && c <= 'z' {
		s = string(c-'a'+'A') + s[1:]
	}
	if last := s[len(s)-1]; last != '.' && last != '!' && last != '?' && last != ':' {
		s += "."
	}
	return s
}

func (a *app) listKeys(list element, keys []string, more int) {
	clear(list)
	for _, k := range keys {
		list.AppendChild(textElement("li", a.shown(k)))
	}
	if more > 0 {
		list.AppendChild(textElement("li", a.text.Text("error.keys.more", "n", count(more))))
	}
}

// drawProblem shows an error inside a panel; nil takes it away.
func (a *app) drawProblem(box element, err error) {
	show(box, err != nil)
	if err == nil {
		return
	}
	msg, hint, keys, more := a.words(err)
	setText(find(box, "p"), msg)
	setText(find(box, ".hint"), hint)
	a.listKeys(find(box, ".keys"), keys, more)
}
