// Package worker answers the page: it opens files, applies recipes, lays exports out and composes them.
//
// The session is plain Go over io.ReaderAt and is tested natively; run.go connects it with the browser's messages.
package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/weightroom/weightroom/statedict"
	"github.com/weightroom/weightroom/wasm/message"
)

// Session holds the open checkpoints.
type Session struct {
	open   map[int]*opened
	others map[string]*other
	last   int
}

// opened is a file, and what the last recipe made of it: the page asks about the same recipe several times.
type opened struct {
	base   *statedict.Checkpoint
	at     string // the mapping that a recipe without one works on
	recipe []byte
	edited *statedict.Checkpoint
	report *statedict.Report
}

// NewSession has nothing open.
func NewSession() *Session { return &Session{open: map[int]*opened{}, others: map[string]*other{}} }

// Open reads the headers of a checkpoint and scans its pickles. The rows are those of the file as it is. The error of a file
// that does not open carries what was seen of its pickles.
func (s *Session) Open(ctx context.Context, srcs []statedict.Source) (*message.Opened, []message.Row, error) {
	opts := statedict.Options{LazyHeaders: true}
	cp, scan, err := opts.OpenScan(ctx, srcs...)
	switch {
	case err != nil && scan == nil:
		return nil, nil, err
	case err != nil:
		e := *message.FromError(err)
		e.Seen = message.FromScan(scan)
		return nil, nil, &e
	}
	s.last++
	o := &opened{base: cp}
	s.open[s.last] = o
	out := &message.Opened{Handle: s.last, Format: string(cp.Format), Scan: message.FromScan(scan)}
	for _, src := range cp.Sources {
		if out.Name == "" {
			out.Name = src.Name
		}
		out.Size += src.Size
	}
	out.State = state(cp, nil)
	// What the recipe works on is a property of the file; a file without tensors has none and can only be looked at.
	if _, report, err := (&statedict.Recipe{}).Apply(cp, nil); err == nil {
		out.At, o.at = report.At, report.At
	}
	return out, rows(cp), nil
}

// Close lets a checkpoint go.
func (s *Session) Close(handle int) { delete(s.open, handle) }

func (s *Session) handle(h int) (*opened, error) {
	if o := s.open[h]; o != nil {
		return o, nil
	}
	return nil, &message.Error{Code: message.Internal, Message: fmt.Sprintf("no checkpoint %d is open", h)}
}

// Apply is the checkpoint after a recipe.
func (s *Session) Apply(req *message.ApplyRequest) (*message.State, []message.Row, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, nil, err
	}
	cp, report, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, nil, err
	}
	st := state(cp, report)
	return &st, rows(cp), nil
}

// after applies a recipe document to the file, or remembers what it made of it.
func (s *Session) after(o *opened, doc json.RawMessage) (*statedict.Checkpoint, *statedict.Report, error) {
	if o.edited != nil && bytes.Equal(doc, o.recipe) {
		return o.edited, o.report, nil
	}
	r, err := statedict.ParseRecipe(doc)
	if err != nil {
		return nil, nil, err
	}
	cp, report, err := r.Apply(o.base, s.files(r))
	if err != nil {
		return nil, nil, err
	}
	o.recipe, o.edited, o.report = bytes.Clone(doc), cp, report
	return cp, report, nil
}

// Preview is what one more step would do, with a sample of its keys. A step that cannot be done is no failure of the
// request: the answer says what is wrong with it.
func (s *Session) Preview(req *message.PreviewRequest) (*message.Previewed, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, err
	}
	cp, _, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, err
	}
	one, err := statedict.ParseRecipe(req.Step)
	if err != nil {
		return &message.Previewed{Error: message.FromError(err)}, nil
	}
	_, report, err := one.Apply(cp, s.files(one))
	if err != nil {
		return &message.Previewed{Error: message.FromError(err)}, nil
	}
	out := &message.Previewed{Warnings: report.Warnings}
	if len(report.Ops) > 0 {
		out.Step = step(&report.Ops[0], req.Limit)
	}
	return out, nil
}

// Plan lays an export out.
func (s *Session) Plan(req *message.PlanRequest) (*statedict.Plan, *message.Planned, error) {
	o, err := s.handle(req.Handle)
	if err != nil {
		return nil, nil, err
	}
	cp, report, err := s.after(o, req.Recipe)
	if err != nil {
		return nil, nil, err
	}
	plan, err := statedict.NewPlan(cp, format(req.Format), &statedict.PlanOptions{Name: req.Name, AllowUnsafe: req.AllowUnsafe})
	if err != nil {
		return nil, nil, err
	}
	out := &message.Planned{Dropped: plan.Report.DroppedObjects}
	out.Warnings = append(append(out.Warnings, report.Warnings...), plan.Report.Warnings...)
	for i := range plan.Files {
		f := &plan.Files[i]
		out.Files = append(out.Files, statedict.FileReport{Name: f.Name, Size: f.Size})
		for _, seg := range f.Segments {
			switch seg := seg.(type) {
			case statedict.Copy:
				out.Copied += seg.Len()
			case statedict.Convert:
				out.Converted += seg.Len()
			}
		}
	}
	return plan, out, nil
}

// CheckSources tells whether the files are still what was opened.
func (s *Session) CheckSources(handle int) error {
	o, err := s.handle(handle)
	if err != nil {
		return err
	}
	return o.base.CheckSources()
}

// format is the container that a recipe's word for it means.
func format(name string) statedict.Format {
	switch name {
	case "torch":
		return statedict.TorchZip
	case "torch-legacy":
		return statedict.TorchLegacy
	}
	return statedict.Format(name)
}

// readBytes is how many bytes of a file an export reads: what is converted, and what is copied under a checksum that the
// source doesn't give.
func readBytes(f *statedict.File) int64 {
	n := int64(0)
	summed := make([]bool, len(f.Segments))
	for _, seg := range f.Segments {
		if s, ok := seg.(statedict.Sum); ok {
			for i := max(0, s.From); i < min(s.To, len(summed)); i++ {
				summed[i] = true
			}
		}
	}
	for i, seg := range f.Segments {
		switch seg := seg.(type) {
		case statedict.Convert:
			n += seg.Len()
		case statedict.Copy:
			_, slow := seg.Extent.Source.R.(interface{ Slow() bool })
			if summed[i] || slow {
				n += seg.Len()
			}
		}
	}
	return n
}
