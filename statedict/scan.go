package statedict

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// ScanReport says what unpickling files would import and call.
type ScanReport struct {
	Format  Format // "" where Err says why the file does not open
	Sources []*Source
	Globals []ScannedGlobal // in the order in which a reader of the files would meet them
	// Findings are those of opening, with F_GLOBAL for every global outside the safe list and the code of each error.
	Findings []Finding
	Code     []Text // source text in the files; see Checkpoint.Code
	// Err is why the files do not open as a checkpoint although something in them could be scanned.
	Err error
}

// ScannedGlobal is a global with what is known about it.
type ScannedGlobal struct {
	Global
	Source string // name of the file
	// Depth is 0 for the pickle that the container holds, 1 for a pickle in a string of that one, and so on.
	Depth int
	Count int // how many opcodes resolve it
	// Called tells whether an opcode calls it; a name is imported without a call as well.
	Called bool
	Effect string // what it can do, in words; "" for a safe one
}

// Safe tells whether every global is on the safe list and nothing else speaks against the files.
func (r *ScanReport) Safe() bool {
	for i := range r.Globals {
		if r.Globals[i].Verdict() != pickle.Safe {
			return false
		}
	}
	return !slices.ContainsFunc(r.Findings, Finding.Safety)
}

// Safety tells the findings that are about what a file could do, or could not be looked at.
func (f Finding) Safety() bool {
	switch f.Code {
	case "F_GLOBAL", "F_CODE", "F_TRAILING", "F_PREFIX":
		return true
	}
	return strings.HasPrefix(f.Code, "E_")
}

// Scan lists what unpickling the files would import: every pickle of a torch file, the five of a legacy one, all that an
// archive holds whether a checkpoint needs them or not, streams behind the first one, and pickles in strings of pickles.
// It goes on where Open gives up, so that what stands in front of a fault is reported. Nothing is imported.
//
// The error is about files in which nothing could be scanned, or about reading. Memory: one pickle and a few bytes for
// each of its opcodes' values.
func Scan(ctx context.Context, srcs ...Source) (*ScanReport, error) {
	return (&Options{}).Scan(ctx, srcs...)
}

// Scan is the function Scan with these options.
func (o *Options) Scan(ctx context.Context, srcs ...Source) (*ScanReport, error) {
	_, r, err := o.OpenScan(ctx, srcs...)
	if r == nil {
		return nil, err
	}
	return r, nil
}

// OpenScan does what Open and Scan do, and reads directories, headers and most pickles once. The checkpoint is nil where the files do not
// open, and the error says why; the report is there all the same if anything could be scanned.
func (o *Options) OpenScan(ctx context.Context, srcs ...Source) (*Checkpoint, *ScanReport, error) {
	files := make([]*Source, len(srcs))
	for i := range srcs {
		files[i] = &srcs[i]
	}
	op := &opener{opt: o, ctx: ctx, archives: map[*Source]*torchfile.Archive{}, walked: map[pickleAt]*pickle.Report{}}
	cp, err := op.checkpoint(files)
	var se *SourceError
	if errors.As(err, &se) || ctx.Err() != nil {
		return nil, nil, err
	}
	r := &ScanReport{Sources: files, Err: err}
	found := op.findings
	if err == nil {
		r.Format, r.Code, found = cp.Format, cp.Code, cp.Findings
	}
	for _, f := range found {
		if f.Code != "F_GLOBAL" {
			r.Findings = append(r.Findings, f)
		}
	}
	if err != nil {
		r.Findings = append(r.Findings, Finding{Code: Code(err), Message: err.Error()})
	}
	s := &pickleScan{op: op, report: r, seen: map[scannedKey]int{}}
	for _, src := range files {
		s.src, s.work = src, 0
		if scanErr := s.source(); scanErr != nil {
			return nil, nil, scanErr
		}
	}
	if err != nil && len(r.Globals) == 0 {
		return nil, nil, err
	}
	for i := range r.Globals {
		if g := &r.Globals[i]; g.Verdict() != pickle.Safe {
			r.Findings = append(r.Findings, Finding{Code: "F_GLOBAL", Path: g.Record,
				Message: fmt.Sprintf("names %s, which is outside the safe list (%s): it %s", g.String(), g.Verdict(), g.Effect)})
		}
	}
	return cp, r, err
}

// scannedKey is what makes two uses of a global one line of the report.
type scannedKey struct {
	src                  *Source
	record, module, name string
	depth                int
}

// pickleScan looks for pickles.
type pickleScan struct {
	op     *opener
	src    *Source
	report *ScanReport
	seen   map[scannedKey]int
	work   int64 // done in the file; see spend
}

const (
	// maxStreams bounds the pickles that are read one behind the other.
	maxStreams = 10_000
	// maxScanWork bounds the pickles of one file together, in opcodes: as many as two of the longest have.
	maxScanWork = 64_000_000
	// maxScanGlobals bounds the lines of a report.
	maxScanGlobals = 20_000
	// workBytes is how many bytes are as much work as an opcode, for they may have to be inflated.
	workBytes = 4
)

// spend counts a pickle that was walked.
func (s *pickleScan) spend(rep *pickle.Report, read int) {
	s.work += rep.Opcodes + int64(read)/workBytes
}

// tired tells that the file's pickles are too much work, and says so in the report.
func (s *pickleScan) tired(record string, at int64) bool {
	if s.work < maxScanWork {
		return false
	}
	s.fault(&LimitError{Limit: "opcodes of all pickles in a file", Got: s.work, Max: maxScanWork, Offset: at}, record)
	return true
}

func (s *pickleScan) source() error {
	head := make([]byte, min(s.src.Size, torchfile.HeadLen))
	if _, err := readAt(s.src, head, 0); err != nil {
		return err
	}
	switch torchfile.Sniff(head, s.src.Size) {
	case torchfile.Zip:
		return s.zip()
	case torchfile.Legacy:
		return s.streams(torchfile.NewCursor(s.src.R, 0, s.src.Size), "", 5)
	case torchfile.Pickle, torchfile.PickleGuess:
		return s.streams(torchfile.NewCursor(s.src.R, 0, s.src.Size), "", maxStreams)
	case torchfile.NPY:
		return s.streams(torchfile.NewCursor(s.src.R, npyEnd(head), s.src.Size), "", 1)
	case torchfile.Tar:
		for _, g := range s.op.globals {
			s.add(g.Record, pickle.GlobalRef{Module: g.Module, Name: g.Name, Offset: g.Position, Count: 1}, g.Position, 0)
		}
	}
	return nil
}

// streams scans up to most pickles, one behind the other. The first one counts whatever it is; bytes behind it only where
// they name something.
func (s *pickleScan) streams(c *torchfile.Cursor, record string, most int) error {
	limit := s.op.opt.pickleBytes()
	for i := 0; i < most && c.Left() > 0; i++ {
		if err := s.op.ctx.Err(); err != nil {
			return err
		}
		base := c.Off()
		if s.tired(record, base) {
			return nil
		}
		if rep := s.op.walked[pickleAt{s.src, -1, base}]; rep != nil && record == "" {
			s.pickle(nil, rep, record, base, 0)
			if rep.Failed { // opening has said so
				return nil
			}
			if _, err := c.Skip(int64(rep.Len)); err != nil {
				return nil
			}
			continue
		}
		stream := pickle.NewStream(&pickle.Options{Limits: s.op.opt.pickleLimits()})
		rep := stream.Report()
		var window []byte
		var fault error
		_, err := c.Pickle(limit, func(w []byte) (n int64, err error) {
			window = w
			n, fault = stream.Extend(w)
			var pe *pickle.Error
			switch {
			case errors.As(fault, &pe) && pe.More:
				return 0, io.ErrUnexpectedEOF
			case fault != nil:
				return int64(len(w)), nil
			}
			return n, nil
		})
		s.spend(rep, len(window))
		var re *torchfile.ReadError
		if errors.As(err, &re) {
			return torchfileError(s.src, "", err)
		}
		if i > 0 && fault != nil && len(rep.Globals) == 0 && most != 5 {
			return nil
		}
		s.pickle(window, rep, record, base, 0)
		if fault != nil {
			s.fault(pickleError(fault, record, base), record)
			return nil
		}
	}
	return nil
}

// fault adds an error that ended a pickle, unless opening has said so already.
func (s *pickleScan) fault(err error, record string) {
	f := Finding{Code: Code(err), Path: record, Message: err.Error()}
	same := func(have Finding) bool { return have.Code == f.Code }
	if !slices.ContainsFunc(s.report.Findings, same) {
		s.report.Findings = append(s.report.Findings, f)
	}
}

// maxDepthInside bounds pickles in strings of pickles.
const maxDepthInside = 8

// pickle notes what was seen of the pickle at the start of p, and of those in its strings.
func (s *pickleScan) pickle(p []byte, rep *pickle.Report, record string, base int64, depth int) {
	for _, g := range rep.Globals {
		s.add(record, g, base+g.Offset, depth)
	}
	if rep.InsideOver || depth == maxDepthInside && len(rep.Inside) > 0 {
		s.fault(&LimitError{Limit: "pickles inside pickles", Got: int64(len(rep.Inside)), Max: int64(len(rep.Inside)) - 1, Offset: base}, record)
	}
	if depth == maxDepthInside {
		return
	}
	for i := range rep.Inside {
		in := &rep.Inside[i]
		b, mapped := in.Bytes(p)
		at := base + in.Offset
		for n := 0; len(b) > 0 && n < maxStreams; n++ {
			if s.tired(record, base) {
				return
			}
			inner, err := pickle.Scan(b, s.op.opt.pickleLimits())
			s.spend(inner, inner.Len)
			if err != nil && in.By == "" && len(inner.Globals) == 0 {
				break // it only looked like a pickle
			}
			innerBase := at
			if !mapped {
				// The place of the text is as near as it gets.
				for j := range inner.Globals {
					inner.Globals[j].Offset = 0
				}
			}
			s.pickle(b, inner, record, innerBase, depth+1)
			if err != nil || inner.Len == 0 {
				break
			}
			b = b[inner.Len:]
			if mapped {
				at += int64(inner.Len)
			}
		}
	}
}

func (s *pickleScan) add(record string, g pickle.GlobalRef, at int64, depth int) {
	key := scannedKey{s.src, record, g.Module, g.Name, depth}
	if i, ok := s.seen[key]; ok {
		s.report.Globals[i].Count += g.Count
		s.report.Globals[i].Called = s.report.Globals[i].Called || g.Called
		return
	}
	if len(s.report.Globals) == maxScanGlobals {
		s.fault(&LimitError{Limit: "globals in a report", Got: maxScanGlobals + 1, Max: maxScanGlobals, Offset: at}, record)
		return
	}
	s.seen[key] = len(s.report.Globals)
	s.report.Globals = append(s.report.Globals, ScannedGlobal{
		Global: Global{Module: g.Module, Name: g.Name, Record: record, Position: at},
		Source: s.src.Name, Depth: depth, Count: g.Count, Called: g.Called, Effect: pickle.Effect(g.Module, g.Name),
	})
}
