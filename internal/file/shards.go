package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// maxIndex is the largest index JSON that is read, in bytes. The largest ones in use have about 10 MB.
const maxIndex = 100_000_000

// maxListed is how many missing shards an error names.
const maxListed = 20

// maxShards bounds the files that an index may name. The largest sets in use have some hundreds.
const maxShards = 10_000

// indexShards answers the file names in the weight map of an index JSON, sorted. ok is false for anything else.
//
// Source: huggingface_hub, serialization: {"metadata": {...}, "weight_map": {key: file name}}.
func indexShards(r io.ReaderAt, size int64) (names []string, ok bool) {
	if size > maxIndex {
		return nil, false
	}
	head := make([]byte, min(size, 512))
	if n, _ := r.ReadAt(head, 0); n == 0 || !strings.HasPrefix(strings.TrimLeft(string(head[:n]), " \t\r\n"), "{") {
		return nil, false
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if json.NewDecoder(io.NewSectionReader(r, 0, size)).Decode(&index) != nil || len(index.WeightMap) == 0 {
		return nil, false
	}
	seen := make(map[string]bool)
	for _, name := range index.WeightMap {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, true
}

// addShards opens the files that the index at path names. A shard is a plain sibling: a name with a separator in it, or a
// link that leads somewhere else, is refused, so that an index cannot reach files that its user did not mean.
func (s *Set) addShards(path string, names []string, o Options) error {
	if len(names) > maxShards {
		return &statedict.LimitError{Limit: "files named by an index", Got: int64(len(names)), Max: maxShards, Offset: -1}
	}
	var missing []string
	for _, name := range names {
		f, full, err := openSibling(path, name)
		if errors.Is(err, os.ErrNotExist) {
			missing = append(missing, strconv.Quote(name))
			continue
		}
		if err != nil {
			return err
		}
		if s.opened(f) { // given on the command line as well
			f.Close()
			continue
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return err
		}
		if err := s.append(&input{File: f, path: full, info: info}, name, o); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		if n := len(missing) - maxListed; n > 1 {
			missing = append(missing[:maxListed], fmt.Sprintf("and %d more", n))
		}
		return &statedict.FormatError{Code: "E_FORMAT", Format: "index", Offset: -1, Msg: "the index names shards that are not beside it: " + strings.Join(missing, ", "),
			Hint: "fetch them into its folder"}
	}
	return nil
}

func (s *Set) opened(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && s.Holds(info)
}

func indexError(shard, msg string) error {
	return &statedict.FormatError{Code: "E_FORMAT", Format: "index", Part: shard, Offset: -1, Msg: msg}
}

func plainName(name string) bool {
	return name != "." && filepath.IsLocal(name) && !strings.ContainsAny(name, "/\\\x00")
}

func openSibling(index, name string) (*os.File, string, error) {
	bad := func(msg string) error { return indexError(name, msg) }
	if !plainName(name) {
		return nil, "", bad("the index names a file that is no plain name beside it")
	}
	dir := filepath.Dir(index)
	full := filepath.Join(dir, name)
	real, err := filepath.EvalSymlinks(full)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, "", os.ErrNotExist
		}
		return nil, "", err
	}
	// The cache of huggingface_hub keeps index and shards as links into one folder of blobs; a shard may follow its index there.
	realDir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, "", err
	}
	realIndex, err := filepath.EvalSymlinks(index)
	if err != nil {
		return nil, "", err
	}
	if d := filepath.Dir(real); d != realDir && d != filepath.Dir(realIndex) {
		return nil, "", bad("the index names a shard that is a link out of its folder")
	}
	root, err := os.OpenRoot(filepath.Dir(real))
	if err != nil {
		return nil, "", err
	}
	defer root.Close()
	f, err := root.Open(filepath.Base(real))
	if err != nil {
		return nil, "", err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, "", bad("the shard is no regular file")
	}
	return f, full, nil
}

// endings are those of checkpoints, for folders that hold a single one.
var endings = []string{".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".npz", ".npy", ".gguf", ".th", ".tar"}

// shardName is that of one of several files: stem, number, how many there are, ending.
var shardName = regexp.MustCompile(`^(.+)-([0-9]{5,})-of-([0-9]{5,})(\..+)$`)

// wholeSet tells whether files are all the shards of one checkpoint, first to last.
func wholeSet(files []string) bool {
	set, seen := "", map[int]bool{}
	for _, name := range files {
		m := shardName.FindStringSubmatch(name)
		if m == nil {
			return false
		}
		n, err := strconv.Atoi(m[2])
		total, err2 := strconv.Atoi(m[3])
		this := m[1] + "\x00" + m[3] + "\x00" + m[4]
		if err != nil || err2 != nil || n < 1 || n > total || total != len(files) || set != "" && this != set {
			return false
		}
		set, seen[n] = this, true
	}
	return len(files) > 1 && len(seen) == len(files)
}

// addFolder opens the one checkpoint that a folder holds: its index, a distributed checkpoint, its only checkpoint file, or
// shards that lost their index.
func (s *Set) addFolder(dir string, o Options) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var indexes, files, distributed []string
	metadata := false
	for _, e := range list {
		name := e.Name()
		switch ext := strings.ToLower(filepath.Ext(name)); {
		case ext == ".json" && strings.Contains(name, ".index."): // as in model.safetensors.index.fp16.json
			indexes = append(indexes, name)
		case name == ".metadata":
			metadata = true
		case ext == ".distcp":
			distributed = append(distributed, name)
		case !strings.HasPrefix(name, ".") && slices.Contains(endings, ext) && !e.IsDir():
			files = append(files, name)
		}
	}
	choice := files
	switch {
	case len(indexes) > 0:
		choice = indexes
	case metadata && len(distributed) > 0:
		for _, name := range append([]string{".metadata"}, distributed...) {
			f, full, err := openSibling(filepath.Join(dir, ".metadata"), name)
			if err != nil {
				return err
			}
			if err := s.addFile(f, full, o); err != nil {
				return err
			}
		}
		return nil
	}
	if len(choice) == 1 || len(indexes) == 0 && wholeSet(choice) {
		for _, name := range choice {
			if err := s.add(filepath.Join(dir, name), o); err != nil {
				return err
			}
		}
		return nil
	}
	if len(choice) == 0 {
		return &statedict.FormatError{Code: "E_FORMAT", Offset: -1, Err: statedict.ErrNotCheckpoint,
			Msg: fmt.Sprintf("the folder %q holds no index and no checkpoint", dir)}
	}
	return &UsageError{fmt.Sprintf("the folder %q holds several checkpoints, name one: %s", dir, strings.Join(quoteAll(choice), ", "))}
}

func quoteAll(names []string) []string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return q
}
