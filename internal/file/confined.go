package file

import (
	"os"
	"path"

	"github.com/weightroom/weightroom/statedict"
)

// OpenIn opens the checkpoint called name (slashes, relative) below a confined root, and its shards when it is an index.
// Links that lead out of the root, and everything that is no regular file, are refused. Compressed files are not unpacked:
// whoever asks is not the owner of the disk.
func OpenIn(root *os.Root, name string) (*Set, error) {
	set := &Set{}
	if err := set.addIn(root, name); err != nil {
		set.Close()
		return nil, err
	}
	if names, ok := indexShards(set.inputs[0].File, set.inputs[0].info.Size()); ok {
		for _, shard := range names {
			if !plainName(shard) {
				set.Close()
				return nil, indexError(shard, "the index names a file that is no plain name beside it")
			}
			if err := set.addIn(root, path.Join(path.Dir(name), shard)); err != nil {
				set.Close()
				return nil, err
			}
		}
	}
	return set, nil
}

func (s *Set) addIn(root *os.Root, name string) error {
	info, err := root.Stat(name) // before opening: a pipe would block
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		hint := ""
		if info.IsDir() {
			hint = "name the file in this folder, or the index of its shards"
		}
		return &statedict.FormatError{Code: "E_FORMAT", Part: path.Base(name), Offset: -1, Msg: "not a regular file", Hint: hint}
	}
	f, err := root.Open(name)
	if err != nil {
		return err
	}
	if info, err = f.Stat(); err != nil {
		f.Close()
		return err
	}
	s.inputs = append(s.inputs, &input{File: f, info: info})
	s.Sources = append(s.Sources, statedict.Source{Name: path.Base(name), R: f, Size: info.Size()})
	return nil
}
