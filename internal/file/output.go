package file

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// Export writes a plan.
type Export struct {
	Plan *statedict.Plan
	// Dir is the folder that the plan's files go to.
	Dir string
	// Force replaces files that exist.
	Force bool
	// Inputs are the files that the plan reads. None of them is ever written to, whatever it is called.
	Inputs []*Set
	// Check is run before anything is renamed: the sources must be as they were.
	Check func() error
	// Progress is called with the bytes written so far, of all files together.
	Progress func(done int64)
}

// Refuse reports why a target cannot be written: it is one of the sources (by inode, so through links as well), a link, a
// folder, or it exists and Force is not set.
func (x *Export) Refuse() error {
	var errs []error
	for i := range x.Plan.Files {
		errs = append(errs, x.refuse(filepath.Join(x.Dir, x.Plan.Files[i].Name)))
	}
	return errors.Join(errs...)
}

func (x *Export) refuse(target string) error {
	info, err := os.Lstat(target)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if reached, err := os.Stat(target); err == nil {
		for _, set := range x.Inputs {
			if set.Holds(reached) {
				return &TargetError{Target: target, Msg: "is the file that is read; a source is never written to", Hint: "write to another name, then rename it yourself"}
			}
		}
	}
	switch {
	case info.IsDir():
		return &TargetError{Target: target, Msg: "is a folder", Hint: "name a file in it"}
	case info.Mode()&os.ModeSymlink != 0:
		return &TargetError{Target: target, Msg: "is a symbolic link", Hint: "name the file that it leads to"}
	case !info.Mode().IsRegular():
		return &TargetError{Target: target, Msg: "is no regular file"}
	case !x.Force:
		return &TargetError{Target: target, Msg: "exists already", Hint: "--force replaces it"}
	}
	return nil
}

// TargetError reports a target that is refused. Nothing was written.
type TargetError struct{ Target, Msg, Hint string }

func (e *TargetError) Error() string { return fmt.Sprintf("%q %s", e.Target, e.Msg) }

// Run writes every file under a temporary name beside its target, syncs it, opens it again and compares it with the plan,
// and only then renames all of them. On any failure, and when ctx is cancelled, the temporary files are removed and no
// target has changed. A failure between two renames of a sharded output takes back the files that did not exist before.
func (x *Export) Run(ctx context.Context) (err error) {
	if err := x.Refuse(); err != nil {
		return err
	}
	if err := x.Plan.Confirm(ctx); err != nil {
		return err
	}
	parts := make([]*part, 0, len(x.Plan.Files))
	defer func() {
		for _, p := range parts {
			p.discard()
		}
	}()
	written := make([]statedict.Source, 0, len(x.Plan.Files))
	var before int64
	for i := range x.Plan.Files {
		f := &x.Plan.Files[i]
		p, err := newPart(filepath.Join(x.Dir, f.Name))
		if err != nil {
			return err
		}
		parts = append(parts, p)
		err = f.Write(ctx, p, func(done int64) {
			if x.Progress != nil {
				x.Progress(before + done)
			}
		})
		if err == nil {
			err = p.Sync()
		}
		if err != nil {
			return p.plain(err)
		}
		before += f.Size
		r, err := os.Open(p.Name())
		if err != nil {
			return p.plain(err)
		}
		defer r.Close()
		info, err := r.Stat()
		if err != nil {
			return p.plain(err)
		}
		written = append(written, statedict.Source{Name: f.Name, R: r, Size: info.Size()})
	}
	if err := statedict.Verify(ctx, x.Plan, written...); err != nil {
		if changed := x.unchanged(); changed != nil { // which explains it
			return changed
		}
		return fmt.Errorf("what was written does not read back as planned: %w", err)
	}
	if err := x.unchanged(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// The index is the last file of a sharded plan: a reader that finds it finds its shards.
	for i, p := range parts {
		if err := p.commit(x.Force); err != nil {
			for _, done := range parts[:i] {
				if !x.Force {
					os.Remove(done.target)
				}
			}
			return p.plain(err)
		}
	}
	return syncDir(x.Dir)
}

// unchanged reports a source that is no longer what was opened.
func (x *Export) unchanged() error {
	for _, set := range x.Inputs {
		if err := set.Check(); err != nil {
			return err
		}
	}
	if x.Check != nil {
		return x.Check()
	}
	return nil
}

// part is an output file under its temporary name. It is locked while its writer lives.
type part struct {
	*os.File
	target  string
	gone    bool
	pending int64 // bytes written through this process that the disk was not asked to take yet
}

// writeback is how many bytes are written before the disk is asked to take them.
const writeback = 32 << 20

// Write is that of the file; now and then it has the disk begin, so that the sync at the end has little left to wait for.
func (p *part) Write(b []byte) (int, error) {
	n, err := p.File.Write(b)
	if p.pending += int64(n); p.pending >= writeback {
		if end, err := p.Seek(0, io.SeekCurrent); err == nil {
			startWriteback(p.File, end-p.pending, p.pending)
		}
		p.pending = 0
	}
	return n, err
}

// newPart creates `.NAME.RANDOM.part` beside target, after it has removed those that a killed run left for the same target.
func newPart(target string) (*part, error) {
	dir, name := filepath.Split(target)
	clearStale(dir, name)
	for range 16 {
		var random [6]byte
		rand.Read(random[:])
		f, err := os.OpenFile(filepath.Join(dir, "."+name+"."+hex.EncodeToString(random[:])+".part"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err != nil {
			return nil, (&part{target: target}).plain(err)
		}
		p := &part{File: f, target: target}
		// Between its creation and its lock the file looks like a dead run's; if another run took it for one, try again.
		if lock(f) && p.linked() {
			return p, nil
		}
		p.discard()
	}
	return nil, &TargetError{Target: target, Msg: "cannot be written: no temporary name beside it is free"}
}

func (p *part) linked() bool {
	a, errA := p.Stat()
	b, errB := os.Stat(p.Name())
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// clearStale removes the temporary files of target's dead runs. A living run holds a lock on its file.
func clearStale(dir, name string) {
	if dir == "" {
		dir = "."
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return // creating the file will say why
	}
	for _, e := range list {
		n := e.Name()
		random, ok := strings.CutPrefix(n, "."+name+".")
		random, ok2 := strings.CutSuffix(random, ".part")
		if !ok || !ok2 || len(random) != 12 || !e.Type().IsRegular() {
			continue
		}
		if _, err := hex.DecodeString(random); err != nil {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, n), os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if lock(f) {
			os.Remove(f.Name())
		}
		f.Close()
	}
}

// commit gives the file its name.
func (p *part) commit(force bool) error {
	if force {
		if err := os.Rename(p.Name(), p.target); err != nil {
			return err
		}
	} else {
		// A link fails where the name was taken in the meantime; a rename would replace it.
		err := os.Link(p.Name(), p.target)
		switch {
		case err == nil:
			os.Remove(p.Name())
		case errors.Is(err, os.ErrExist):
			return &TargetError{Target: p.target, Msg: "was created by somebody else meanwhile"}
		default: // a file system without links
			if _, err := os.Lstat(p.target); err == nil {
				return &TargetError{Target: p.target, Msg: "was created by somebody else meanwhile"}
			}
			if err := os.Rename(p.Name(), p.target); err != nil {
				return err
			}
		}
	}
	p.gone = true
	return p.Close()
}

// discard removes the temporary file unless it has become the target.
func (p *part) discard() {
	if p.gone {
		return
	}
	p.gone = true
	p.Close()
	os.Remove(p.Name())
}

// plain puts the target's name in place of the temporary one in what the system said.
func (p *part) plain(err error) error {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe) && strings.HasSuffix(pe.Path, ".part"):
		var se *os.SyscallError // "copy_file_range" helps nobody
		if errors.As(pe.Err, &se) {
			pe = &os.PathError{Err: se.Err}
		}
		return fmt.Errorf("writing %q: %w", p.target, pe.Err)
	case errors.As(err, &le):
		return fmt.Errorf("writing %q: %w", p.target, le.Err)
	}
	return err
}

// CopyExtent copies a range of a source that is a file by way of the kernel, which shares or moves the blocks without
// passing them through this process where the file system can. Holes of a sparse file stay holes. It answers false for any
// other source.
func (p *part) CopyExtent(ctx context.Context, x statedict.Extent) (bool, error) {
	in, ok := x.Source.R.(*input)
	if !ok {
		return false, nil
	}
	start, err := p.Seek(0, io.SeekCurrent)
	if err != nil {
		return false, nil
	}
	end := x.Off + x.Len
	for off := x.Off; off < end; {
		from, to := nextData(in.File, off, end)
		at := start + from - x.Off
		if from > off {
			// The part was created empty, so what is skipped reads as zeros; its size has to say that it is there.
			if err := p.Truncate(at); err != nil {
				return false, err
			}
			if _, err := p.Seek(at, io.SeekStart); err != nil {
				return false, err
			}
		}
		if from < to {
			if _, err := in.Seek(from, io.SeekStart); err != nil {
				return false, &statedict.SourceError{Source: x.Source.Name, Offset: from, Err: err}
			}
			n, err := p.ReadFrom(io.LimitReader(in.File, to-from))
			if err == nil && n < to-from {
				err = &statedict.SourceError{Source: x.Source.Name, Offset: from + n, Err: fmt.Errorf("%w: it ends early", statedict.ErrSourceChanged)}
			}
			if err != nil {
				return false, err
			}
			startWriteback(p.File, at, n)
		}
		off = to
	}
	return true, nil
}
