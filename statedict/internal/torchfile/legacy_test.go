package torchfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// pickleLength walks opcodes up to STOP, for tests only: it knows how long arguments are and nothing else.
func pickleLength(b []byte) (int64, error) {
	fixed := map[byte]int{'K': 1, 'M': 2, 'J': 4, 'G': 8, 'q': 1, 'r': 4, 'h': 1, 'j': 4, 0x80: 1, 0x82: 1, 0x83: 2, 0x84: 4, 0x95: 8}
	prefix := map[byte]int{'U': 1, 'T': 4, 'X': 4, 'B': 4, 'C': 1, 0x8a: 1, 0x8b: 4, 0x8c: 1, 0x8d: 8, 0x8e: 8, 0x96: 8}
	lines := map[byte]int{'I': 1, 'L': 1, 'F': 1, 'S': 1, 'V': 1, 'p': 1, 'g': 1, 'P': 1, 'c': 2, 'i': 2}
	for at := 0; at < len(b); {
		op := b[at]
		at++
		if op == '.' {
			return int64(at), nil
		}
		at += fixed[op]
		if n := prefix[op]; n > 0 {
			if at+n > len(b) {
				break
			}
			var wide [8]byte
			copy(wide[:], b[at:at+n])
			at += n + int(le.Uint64(wide[:]))
		}
		for range lines[op] {
			end := bytes.IndexByte(b[min(at, len(b)):], '\n')
			if end < 0 {
				return 0, io.ErrUnexpectedEOF
			}
			at += end + 1
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// oracle is what real torch says about a file.
type oracle struct {
	Storages []struct {
		Key, DType, SHA256 string
		Numel, NBytes      int64
	}
}

func readOracle(t *testing.T, path string) (o oracle) {
	t.Helper()
	data, err := os.ReadFile(path + ".oracle.json")
	if err == nil {
		err = json.Unmarshal(data, &o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Every legacy file of the corpus: storages lie where torch reads them, and the file can be put together again.
func TestCorpusLegacy(t *testing.T) {
	dir := corpus(t)
	files, identical := 0, 0
	corpusFiles(t, dir, func(name string, data []byte) {
		if damaged(name) || Sniff(data[:min(len(data), HeadLen)], int64(len(data))) != Legacy {
			return
		}
		files++
		size := int64(len(data))
		c := NewCursor(bytes.NewReader(data), 0, size)
		var pickles [5][]byte
		for i := range pickles {
			var err error
			if pickles[i], err = c.Pickle(64<<20, pickleLength); err != nil {
				t.Errorf("%s: pickle %d: %v", name, i, err)
				return
			}
		}
		want := readOracle(t, filepath.Join(dir, name)).Storages
		var storages []LegacyStorage
		for _, s := range want {
			d, _ := dtype.Parse(s.DType)
			storages = append(storages, LegacyStorage{Key: s.Key, Numel: s.NBytes / d.Size(), ElemSize: d.Size()})
		}
		slices.SortFunc(storages, func(a, b LegacyStorage) int { return strings.Compare(a.Key, b.Key) })
		found, err := LocateStorages(bytes.NewReader(data), size, c.Off(), storages)
		if err != nil || found.Truncated() != nil {
			t.Errorf("%s: %v, %v", name, err, found.Truncated())
			return
		}
		if tail := name == "synthetic/legacy_trailing.pt" || name == "synthetic/legacy_two_objects.pt"; tail != (found.Trailing > 0) || tail != (len(found.Findings) == 1) {
			t.Errorf("%s: %d bytes behind the end", name, found.Trailing)
		}
		for i, s := range storages {
			e := found.Extents[i]
			sum := sha256.Sum256(data[e.Off : e.Off+e.Len])
			k := slices.IndexFunc(want, func(w struct {
				Key, DType, SHA256 string
				Numel, NBytes      int64
			}) bool {
				return w.Key == s.Key
			})
			if found.Bad[i] != nil || hex.EncodeToString(sum[:]) != want[k].SHA256 {
				t.Errorf("%s: storage %s at %d: %v", name, s.Key, e.Off, found.Bad[i])
			}
		}
		l, err := NewLegacyLayout(int64(len(pickles[3])), int64(len(pickles[4])), storages)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		out := slices.Concat(l.Front(), pickles[3], pickles[4])
		for i := range storages {
			e := found.Extents[i]
			out = append(out, l.Count(i)...)
			if int64(len(out)) != l.starts[i]+8 {
				t.Errorf("%s: storage %d at %d, layout says %d", name, i, len(out), l.starts[i]+8)
			}
			out = append(out, data[e.Off:e.Off+e.Len]...)
		}
		if int64(len(out)) != l.Size() {
			t.Errorf("%s: %d bytes, layout says %d", name, len(out), l.Size())
		}
		switch same := bytes.Equal(out, data[:found.End]); {
		case same:
			identical++
		case bytes.HasPrefix(data, l.Front()):
			t.Errorf("%s differs behind the front", name)
		}
	})
	t.Logf("%d files, %d put together identical; the others carry the front of another pickler", files, identical)
}

func TestLocateStorages(t *testing.T) {
	count := func(n int64) string { return string(le.AppendUint64(nil, uint64(n))) }
	storages := []LegacyStorage{{"10", 2, 4}, {"2", 0, 8}, {"3", 3, 1}}
	whole := "front" + count(2) + "aaaabbbb" + count(0) + count(3) + "xyz"
	for n := len("front"); n <= len(whole); n++ {
		d, err := LocateStorages(strings.NewReader(whole[:n]), int64(n), 5, storages)
		if err != nil {
			t.Fatal(err)
		}
		if d.End != int64(len(whole)) || d.Missing != int64(len(whole)-n) || (d.Truncated() == nil) != (n == len(whole)) {
			t.Errorf("cut at %d: %+v", n, d)
		}
		for i, end := range []int{21, 29, 40} {
			if bad := d.Bad[i]; (n < end) != (bad != nil && bad.Code == CodeTruncated) {
				t.Errorf("cut at %d: storage %d is %v", n, i, bad)
			}
		}
	}
	d, err := LocateStorages(strings.NewReader(strings.Replace(whole, count(2), count(1<<60), 1)), int64(len(whole)), 5, storages)
	if err != nil || d.Bad[0] == nil || d.Bad[0].Code != CodeLayout || d.Bad[2] != nil {
		t.Errorf("false count: %v, %+v", err, d)
	}
	for _, bad := range [][]LegacyStorage{{{"a", 1, 0}}, {{"a", -1, 4}}, {{"a", 1 << 62, 4}}, {{"a", 1 << 62, 1}, {"b", 1 << 62, 1}}} {
		_, err := LocateStorages(strings.NewReader(whole), int64(len(whole)), 5, bad)
		wantCode(t, err, CodeLayout)
	}
	if _, err := NewLegacyLayout(1, 1, []LegacyStorage{{"2", 1, 1}, {"10", 1, 1}}); err == nil {
		t.Error("keys that do not ascend are laid out")
	}
}

func TestCursor(t *testing.T) {
	long := "\x80\x02X\x40\x0d\x03\x00" + strings.Repeat("x", 200_000) + "."
	data := "N." + long + "\x07\x00\x00\x00\x00\x00\x00\x00payload]."
	count := &counter{r: strings.NewReader(data)}
	c := NewCursor(count, 0, int64(len(data)))
	for _, want := range []string{"N.", long} {
		got, err := c.Pickle(1<<20, pickleLength)
		if err != nil || string(got) != want {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
	n, err := c.Int64()
	if err != nil || n != 7 {
		t.Fatalf("got %d, %v", n, err)
	}
	if e, err := c.Skip(n); err != nil || data[e.Off:e.Off+e.Len] != "payload" {
		t.Errorf("got %v, %v", e, err)
	}
	if got, err := c.Pickle(10, pickleLength); err != nil || string(got) != "]." || c.Left() != 0 {
		t.Errorf("got %q, %v, %d left", got, err, c.Left())
	}
	if count.read > int64(len(data)) {
		t.Errorf("read %d bytes of %d: some twice", count.read, len(data))
	}

	c = NewCursor(strings.NewReader(data), 2, int64(len(data)))
	_, err = c.Pickle(1000, pickleLength)
	wantCode(t, err, CodeLimit)
	c = NewCursor(strings.NewReader(data), 2, 100_000)
	_, err = c.Pickle(1<<20, pickleLength)
	wantCode(t, err, CodeTruncated)
	_, err = c.Skip(-1)
	wantCode(t, err, CodeTruncated)
	_, err = c.Skip(100_000)
	wantCode(t, err, CodeTruncated)
	stop := fmt.Errorf("no pickle")
	if _, err = c.Pickle(1<<20, func([]byte) (int64, error) { return 0, stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}
