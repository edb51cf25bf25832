//go:build js

package page

import (
	"context"

	"github.com/weightroom/weightroom/wasm/message"
	"github.com/weightroom/weightroom/wasm/page/model"
)

// readCode lists the source text that the file carries: of TorchScript, of old pickled modules.
func (a *app) readCode() {
	w := a.open
	show(role("codes"), false)
	clear(role("code-list"))
	go func() {
		var got []message.CodeText
		_, err := a.worker.do(context.Background(), message.Code, message.CodeRequest{Handle: w.about.Handle}, &got, nil, nil)
		if err != nil || w != a.open || len(got) == 0 {
			return // of an error the next request tells
		}
		for _, c := range got {
			el := clone("t-code")
			setText(find(el, "summary bdi"), model.Visible(c.Name))
			text := lines(c.Text)
			if c.Cut {
				text += "\n…"
			}
			setText(find(el, "pre"), text)
			role("code-list").AppendChild(el)
		}
		show(role("codes"), true)
		show(role("findings"), true)
	}()
}
