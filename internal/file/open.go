// Package file turns paths into sources of a checkpoint, and plans into files that appear whole or not at all.
package file

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/weightroom/weightroom/statedict"
)

// Set is the opened files of one checkpoint. Close it when the checkpoint is no longer used.
type Set struct {
	Sources []statedict.Source
	inputs  []*input
}

// input is one open file behind a source.
type input struct {
	*os.File
	path string      // "" for a stream and for the unpacked copy of a wrapped file
	info os.FileInfo // at opening
	temp string      // removed at Close; "" where there is nothing to remove
	// packed is the file that this one was unpacked from; kept open so that a change of it is seen.
	packed *input
}

// Options are the choices of Open.
type Options struct {
	// Stdin is what "-" reads.
	Stdin io.Reader
	// MaxUnpacked limits the bytes that a gzip or zstd file may unpack to; 0 allows 64 times the packed size, and 1 GiB at least.
	MaxUnpacked int64
}

// Open opens what a user named: a checkpoint, its shards, an index JSON (its shards are found beside it), a folder that
// holds one, or "-" for a stream, which is spooled to a temporary file. Nothing is read but the first bytes of each file,
// the index, and what has to be unpacked. The first source is the index where there is one.
func Open(paths []string, o Options) (*Set, error) {
	set := &Set{}
	for _, p := range paths {
		if err := set.add(p, o); err != nil {
			set.Close()
			return nil, err
		}
	}
	return set, nil
}

// Close closes every file and removes the temporary ones.
func (s *Set) Close() error {
	var errs []error
	for _, in := range s.inputs {
		errs = append(errs, in.Close())
		if in.packed != nil {
			errs = append(errs, in.packed.File.Close())
		}
		if in.temp != "" {
			if err := os.Remove(in.temp); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	s.inputs = nil
	return errors.Join(errs...)
}

func (s *Set) add(path string, o Options) error {
	if path == "-" {
		if o.Stdin == nil {
			return &UsageError{"there is no stream to read for -"}
		}
		in, err := spool(o.Stdin, o)
		if err != nil {
			return fmt.Errorf("reading the stream: %w", err)
		}
		return s.append(in, "-", o)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return s.addFolder(path, o)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return s.addFile(f, path, o)
}

// addFile takes f over: it is closed with the set, or at once when it fails.
func (s *Set) addFile(f *os.File, path string, o Options) error {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	if !info.Mode().IsRegular() {
		// A pipe or a device has no byte ranges.
		in, err := spool(f, o)
		f.Close()
		if err != nil {
			return fmt.Errorf("reading %q: %w", path, err)
		}
		return s.append(in, path, o)
	}
	if s.Holds(info) { // a shard that its index has brought along already
		return f.Close()
	}
	if err := s.append(&input{File: f, path: path, info: info}, path, o); err != nil {
		return err
	}
	in := s.inputs[len(s.inputs)-1]
	if names, ok := indexShards(in.File, in.info.Size()); ok {
		return s.addShards(path, names, o)
	}
	return nil
}

// append unpacks in where it is wrapped and adds it as a source.
func (s *Set) append(in *input, name string, o Options) error {
	in, err := unwrap(in, o)
	if err != nil {
		return err
	}
	s.inputs = append(s.inputs, in)
	s.Sources = append(s.Sources, statedict.Source{Name: filepath.Base(name), R: in, Size: in.info.Size()})
	return nil
}

// Check reports statedict.ErrSourceChanged, in a *statedict.SourceError, for the first file that is not the one that was
// opened any more: another size, modification time or inode. It reads no bytes: Checkpoint.CheckSources does.
func (s *Set) Check() error {
	for _, in := range s.inputs {
		if in.packed != nil {
			in = in.packed
		}
		if in.path == "" {
			continue
		}
		now, err := os.Stat(in.path)
		why := ""
		switch {
		case err != nil:
			why = "it cannot be found any more"
		case !os.SameFile(now, in.info):
			why = "another file has taken its place"
		case now.Size() != in.info.Size():
			why = fmt.Sprintf("%d bytes now, %d when it was opened", now.Size(), in.info.Size())
		case !now.ModTime().Equal(in.info.ModTime()):
			why = "it was written to"
		}
		if why != "" {
			return &statedict.SourceError{Source: in.path, Err: fmt.Errorf("%w: %s", statedict.ErrSourceChanged, why)}
		}
	}
	return nil
}

// Holds tells whether info is one of the set's own files, reached by whatever name.
func (s *Set) Holds(info os.FileInfo) bool {
	for _, in := range s.inputs {
		if os.SameFile(info, in.info) || in.packed != nil && os.SameFile(info, in.packed.info) {
			return true
		}
	}
	return false
}

// UsageError reports paths that make no sense together; the command exits with 2 for it.
type UsageError struct{ Msg string }

func (e *UsageError) Error() string { return e.Msg }
