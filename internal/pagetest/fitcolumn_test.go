package pagetest

import "testing"

// The column of how keys fit is there while something is compared, its title above its cells, and otherwise not at all.
func TestFitColumn(t *testing.T) {
	b := newTab(t)
	b.choose(safetensors(t, "a.w", "b.w"))
	const shown = "[...document.querySelectorAll('.c-fit')].filter(e => e.getClientRects().length).length"
	if got := b.str(shown); got != "0" {
		t.Errorf("%s cells without a comparison", got)
	}
	b.other(fileNamed(t, "model.safetensors", "a.w"))
	b.until("document.querySelector('[data-action=fit-unexpected] b').innerText === '1'")
	if got := b.str("[...document.querySelectorAll('.row[data-kind=tensor] .c-fit')].filter(e => e.getClientRects().length).map(e => e.innerText).join()"); got != "fit,unexpected" {
		t.Errorf("the cells say %q", got)
	}
	left := func(selector string) string {
		return b.str("Math.round(document.querySelector($1).getBoundingClientRect().left)", selector)
	}
	for _, column := range []string{".c-fit", ".c-size", ".c-shape"} {
		if head, cell := left(".columns "+column), left(".row[data-kind=tensor] "+column); head != cell {
			t.Errorf("%s: the title is at %s, the cells at %s", column, head, cell)
		}
	}
	b.shot("fit-column")
	b.size(390, 844)
	b.dark(true)
	b.shot("fit-column-phone")
	b.clean()
}
