//go:build js

package worker

import (
	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/blob"
	"github.com/weightroom/weightroom/wasm/message"
)

// input is a file that is open: of this computer or of a server.
type input interface{ BytesRead() int64 }

// openURL opens a file by HTTP ranges.
func (w *worker) openURL(j *job, req *message.OpenURLRequest) (*message.Opened, []message.Row, error) {
	remotes, err := blob.OpenRemotes(j.ctx, req.URL, blob.NewBrowser(), w.breath.Context)
	if err != nil {
		return nil, nil, err
	}
	var files []input
	var srcs []statedict.Source
	for _, r := range remotes {
		files = append(files, r)
		srcs = append(srcs, r.Source())
	}
	for _, r := range remotes {
		r.Report = func() { j.progress(message.Progress{Phase: "read", Done: sum(files)}) }
	}
	out, rows, err := w.session.Open(j.ctx, srcs)
	for _, r := range remotes {
		r.Report = nil
	}
	if err != nil {
		return nil, nil, err
	}
	w.files[out.Handle] = files
	out.BytesRead = sum(files)
	return out, rows, nil
}
