//go:build js

package page

import "github.com/weightroom/weightroom/wasm/page/model"

// revealRow puts the cursor on the row with that path, selects it and scrolls it into sight; a filter goes away if it hides
// the row. False where there is no such row.
func (a *app) revealRow(path string, kind model.Kind) bool {
	v := a.tree.view
	node := v.Tree.Find(path, kind)
	if node < 0 {
		return false
	}
	if !v.Reveal(node) {
		find(root, "#filter").Set("value", "")
		a.tree.filter()
		if !v.Reveal(node) { // what is compared hides it as well
			a.reference.only = ""
			a.drawReference()
			a.filterFit()
			v.Reveal(node)
		}
	}
	v.SelectCursor()
	a.tree.touched = true
	a.tree.refresh()
	a.tree.reveal()
	return true
}
