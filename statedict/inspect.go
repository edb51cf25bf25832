package statedict

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/weightroom/weightroom/statedict/internal/convert"
)

// Stats describes the values of a view. NaN and infinities are counted and left out of the rest; sums run in float64;
// Std divides by one less than the count, as torch.std does. Complex tensors have counts only.
type Stats struct {
	Numel          int64
	Finite         int64 // what Min, Max, Mean and Std speak of
	Min, Max, Mean float64
	Std            float64
	NaN, Inf       int64
	Zeros          int64
}

// InspectOptions say what Inspect finds out; the zero value gives hash and statistics.
type InspectOptions struct {
	Bins     int // of the histogram between minimum and maximum; 0 for none
	Values   int // how many of the first elements to give
	NoHash   bool
	NoStats  bool
	Progress Progress // counts source bytes of both passes
}

// Inspection is what Inspect found. Edges are one more than Counts. Values are bool, int64, uint64, float64 or complex128.
type Inspection struct {
	SHA256 string
	Stats  *Stats
	Edges  []float64
	Counts []int64
	Values []any
}

// Inspect reads the elements of v once, or twice for a histogram, in chunks of 1 MiB. The hash is of the row-major
// little-endian bytes. Dtypes without values (bits, packed ones) give the hash alone. Errors are those of Reader and ctx's.
func (cp *Checkpoint) Inspect(ctx context.Context, v View, opt InspectOptions) (*Inspection, error) {
	out := &Inspection{}
	hash := sha256.New()
	var stats convert.Stats
	measured := !opt.NoStats && stats.Add(nil, v.DType) == nil
	s := &scan{cp: cp, ctx: ctx, view: v, progress: opt.Progress}
	err := s.run(func(b []byte) error {
		if !opt.NoHash {
			hash.Write(b)
		}
		for len(out.Values) < opt.Values && v.DType.Size() > 0 {
			i := len(out.Values)
			if int64(i+1)*v.DType.Size() > int64(len(b)) {
				break
			}
			x := convert.Value(b, v.DType, i)
			if x == nil {
				break
			}
			out.Values = append(out.Values, x)
		}
		if measured {
			return stats.Add(b, v.DType)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !opt.NoHash {
		out.SHA256 = hex.EncodeToString(hash.Sum(nil))
	}
	if measured {
		out.Stats = &Stats{stats.Numel, stats.Finite, stats.Min, stats.Max, stats.Mean, stats.Std(), stats.NaN, stats.Inf, stats.Zeros}
	}
	if opt.Bins <= 0 || !measured || v.DType.IsComplex() || stats.Finite == 0 {
		return out, nil
	}
	h := convert.Histogram{Low: stats.Min, High: stats.Max, Counts: make([]int64, opt.Bins)}
	if err := s.run(func(b []byte) error { return h.Add(b, v.DType) }); err != nil {
		return nil, err
	}
	out.Edges, out.Counts = h.Edges(), h.Counts
	return out, nil
}

// scan reads a view in chunks of whole elements.
type scan struct {
	cp       *Checkpoint
	ctx      context.Context
	view     View
	progress Progress
	done     int64
}

func (s *scan) run(f func(b []byte) error) error {
	r := s.cp.Reader(s.view)
	buf := make([]byte, min(chunk, max(s.view.NBytes(), 16)))
	for {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			if err := f(buf[:n]); err != nil {
				return err
			}
			s.done += int64(n)
			if s.progress != nil {
				s.progress(s.done)
			}
		}
		switch err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return nil
		default:
			return err
		}
	}
}
