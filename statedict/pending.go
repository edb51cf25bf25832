package statedict

import (
	"context"
	"errors"
	"io"
	"iter"
)

// This file goes away as its functions land; the signatures stay.

var errPending = errors.New("not built yet")

// Options are the limits and choices of opening; the zero value has the defaults.
type Options struct {
	// LazyHeaders leaves a zip record's local header unread until its bytes are needed, for sources whose reads are slow.
	LazyHeaders bool
	// Lenient opens files that two readers could understand differently; they cannot be exported.
	Lenient bool
}

// Open opens one file, or several that make up one checkpoint (an index with its shards).
func Open(ctx context.Context, srcs ...Source) (*Checkpoint, error) {
	return (&Options{}).Open(ctx, srcs...)
}

func (o *Options) Open(ctx context.Context, srcs ...Source) (*Checkpoint, error) {
	return nil, errPending
}

// StateDicts sums up every mapping that holds tensors, in file order.
func (cp *Checkpoint) StateDicts() []StateDict { return nil }

// Objects yields the leaves of the object tree that are no tensors, in file order.
func (cp *Checkpoint) Objects() iter.Seq[Object] { return func(func(Object) bool) {} }

// ModuleVersions is the _metadata of the state dict at path: module path to version, in file order of the keys.
func (cp *Checkpoint) ModuleVersions(dict string) (paths []string, versions map[string]int64) {
	return nil, nil
}

// Reader returns the elements of v in row-major order, little-endian, in the stored dtype: v.NBytes() bytes.
func (cp *Checkpoint) Reader(v View) io.Reader { return nil }

// NewPlan lays cp out in format f.
func NewPlan(cp *Checkpoint, f Format, opts *PlanOptions) (*Plan, error) { return nil, errPending }

// Progress is called with the bytes written so far.
type Progress func(done int64)

// Write streams the file to w.
func (f *File) Write(ctx context.Context, w io.Writer, progress Progress) error { return errPending }

// Verify opens what was written and compares it with the plan, without reading tensor bytes.
func Verify(ctx context.Context, p *Plan, written ...Source) error { return errPending }

// CheckSources reports ErrSourceChanged when a source no longer has the size and headers it was opened with.
func (cp *Checkpoint) CheckSources() error { return errPending }
