package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/charmbracelet/colorprofile"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/weightroom/weightroom/internal/listing"
)

// terminal tells whether w is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour tells whether w shows colours: a terminal that can, and NO_COLOR is not set.
func colour(w io.Writer) bool {
	return terminal(w) && colorprofile.Detect(w, os.Environ()) > colorprofile.ASCII
}

// progress draws a bar on a terminal, unless --quiet, and does nothing elsewhere. done ends it, whether or not it is full.
func (e *env) progress(what string, total int64) (update func(int64), done func()) {
	if e.quiet || !terminal(e.err) || total == 0 {
		return nil, func() {}
	}
	p := mpb.New(mpb.WithOutput(e.err), mpb.WithWidth(40))
	bar := p.New(total, mpb.BarStyle(),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(listing.Escape(what)+" ")),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			return fmt.Sprintf(" %s of %s", listing.Size(s.Current), listing.Size(s.Total))
		}), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})))
	return bar.SetCurrent, func() {
		bar.Abort(true)
		p.Wait()
	}
}
