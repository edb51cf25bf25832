package shards

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseIndex(t *testing.T) {
	x, err := ParseIndex([]byte(` {"other": [{"a":1,"b":[]},{"a":2}], "metadata": {"total_size": 3.6e1, "x" : {"y": [1, "z"]} },
		"weight_map": {"b": "m-2.bin", "a\u00e9\n": "m-1.bin", "c": "m-2.bin", "up": "../m.bin", "win": "C:m.bin", "hide": "m\u202e.bin"}} `))
	if err != nil {
		t.Fatal(err)
	}
	bad := x.Findings
	x.Findings = nil
	want := &Index{
		Files:     []string{"m-2.bin", "m-1.bin"},
		Entries:   []Entry{{"b", 0}, {"aé\n", 1}, {"c", 0}},
		Metadata:  []Pair{{"total_size", "3.6e1"}, {"x", `{"y": [1, "z"]}`}},
		TotalSize: 36,
	}
	if !reflect.DeepEqual(x, want) {
		t.Errorf("got  %+v\nwant %+v", x, want)
	}
	if len(bad) != 3 {
		t.Fatalf("findings %+v", bad)
	}
	for i, key := range []string{"up", "win", "hide"} {
		if bad[i].Code != FindingName || bad[i].Key != key || strings.Contains(bad[i].Text, "\u202e") {
			t.Errorf("finding %+v", bad[i])
		}
	}
	for doc, want := range map[string]int64{`"8"`: -1, `null`: -1, `-1`: -1, `1.5`: -1, `1e30`: -1, `9223372036854775807`: math.MaxInt64, `0`: 0} {
		x, err := ParseIndex([]byte(`{"metadata":{"total_size":` + doc + `},"weight_map":{}}`))
		if err != nil || x.TotalSize != want {
			t.Errorf("total_size %s: %+v, %v", doc, x, err)
		}
	}
}

func TestRejectIndex(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for _, c := range []struct{ doc, code, text string }{
		{``, CodeHeader, "ends early"},
		{`[]`, CodeFormat, "no object"},
		{`"weight_map"`, CodeFormat, "no object"},
		{`{}`, CodeFormat, "no weight_map"},
		{`{"weight_map":[]}`, CodeFormat, "weight_map is no object"},
		{`{"weight_map":{"a":1}}`, CodeHeader, "no string"},
		{`{"weight_map":{"a":"x","a":"y"}}`, CodeHeader, `"a" appears twice`},
		{`{"weight_map":{"a":"x","\u0061":"x"}}`, CodeHeader, `"a" appears twice`},
		{`{"weight_map":{},"weight_map":{}}`, CodeHeader, "appears twice"},
		{`{"weight_map":{},"metadata":{"x":[{"y":1,"y":2}]}}`, CodeHeader, `"y" appears twice`},
		{`{"weight_map":{},"metadata":3}`, CodeFormat, "metadata is no object"},
		{`{"weight_map":{}}x`, CodeHeader, "follows"},
		{`{"weight_map":{}}{}`, CodeHeader, "follows"},
		{`{"weight_map":{"a":"x"`, CodeHeader, "ends early"},
		{`{"weight_map":{"a" "x"}}`, CodeHeader, "malformed"},
		{`{"weight_map":{a:"x"}}`, CodeHeader, "malformed"},
		{`{"weight_map":{},"x":` + deep, CodeHeader, "nested more than 64"},
		{"{\"weight_map\":{\"\xff\":\"x\"}}", CodeHeader, "not UTF-8"},
		{strings.Repeat(" ", MaxIndex+1), CodeLimit, "limit"},
	} {
		_, err := ParseIndex([]byte(c.doc))
		var e *Error
		if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Text, c.text) {
			t.Errorf("%.60q: got %v, want %s %s", c.doc, err, c.code, c.text)
		}
	}
}

// TestEmitIndex holds against Python: json.dumps(..., indent=2, sort_keys=True) + "\n".
func TestEmitIndex(t *testing.T) {
	const one, two, odd = "m-00001-of-00002.bin", "m-00002-of-00002.bin", "é-00002-of-00002.bin"
	want := "{\n  \"metadata\": {\n    \"note\": 3,\n    \"total_size\": 36,\n    \"\\u00e9\": \"x\"\n  },\n  \"weight_map\": {\n" +
		"    \"a\": \"m-00002-of-00002.bin\",\n    \"b\\u007f\\u0001\\n\\\"\\\\/\": \"m-00001-of-00002.bin\",\n" +
		"    \"\\ud800x\": \"\\u00e9-00002-of-00002.bin\",\n    \"\\uffee\": \"m-00001-of-00002.bin\",\n    \"\\ud83d\\ude00\": \"m-00001-of-00002.bin\"\n  }\n}\n"
	got, err := EmitIndex([]string{one, two, odd},
		[]Entry{{"b\x7f\x01\n\"\\/", 0}, {"a", 1}, {"😀", 0}, {"\uffee", 0}, {"\xed\xa0\x80x", 2}}, 36,
		[]Pair{{"é", `"x"`}, {"total_size", "7"}, {"note", "3"}})
	if err != nil || string(got) != want {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
	if got, err = EmitIndex(nil, nil, 0, nil); err != nil || string(got) != "{\n  \"metadata\": {\n    \"total_size\": 0\n  },\n  \"weight_map\": {}\n}\n" {
		t.Errorf("empty: %q, %v", got, err)
	}
	for _, c := range []struct {
		files   []string
		entries []Entry
	}{
		{[]string{"a/b"}, nil}, {[]string{""}, nil},
		{[]string{"a"}, []Entry{{"k", 0}, {"k", 0}}}, {[]string{"a"}, []Entry{{"\xff", 0}}}, {[]string{"a"}, []Entry{{"\xed\x9f", 0}}},
	} {
		if got, err := EmitIndex(c.files, c.entries, 0, nil); !errors.As(err, new(*Error)) {
			t.Errorf("%v: %q, %v", c, got, err)
		}
	}
}

// TestFiles reads the index files of testdata and of the corpus and writes them again. Python's own are the same bytes; the
// corpus's lack the final line end and keep the model's order.
func TestFiles(t *testing.T) {
	files, _ := filepath.Glob("../../../testdata/*.index.json")
	own := len(files)
	if own < 2 {
		t.Errorf("%d files in testdata", own)
	}
	if dir := os.Getenv("WEIGHTROOM_CORPUS"); dir != "" {
		more, _ := filepath.Glob(filepath.Join(dir, "synthetic", "*.index.json"))
		files = append(files, more...)
	}
	for i, path := range files {
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		x, err := ParseIndex(doc)
		if err != nil || len(x.Findings) > 0 || len(x.Files) != 2 || x.TotalSize <= 0 {
			t.Fatalf("%s: %+v, %v", path, x, err)
		}
		for _, file := range x.Files {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), file)); err != nil {
				t.Errorf("%s: %s: %v", path, file, err)
			}
		}
		out, err := EmitIndex(x.Files, x.Entries, x.TotalSize, x.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		sortedLines := func(b []byte) []string {
			lines := strings.Split(strings.ReplaceAll(strings.TrimRight(string(b), "\n"), ",", ""), "\n")
			slices.Sort(lines)
			return lines
		}
		if !slices.Equal(sortedLines(out), sortedLines(doc)) {
			t.Errorf("%s: wrote %s", path, out)
		}
		if i < own && string(out) != string(doc) {
			t.Errorf("%s: wrote other bytes: %s", path, out)
		}
	}
}

func TestCheck(t *testing.T) {
	x := &Index{Files: []string{"1", "2", "3"}, Entries: []Entry{{"a", 0}, {"b", 0}, {"c", 1}, {"d", 1}, {"e", 2}}, TotalSize: 10}
	found := x.Check([]Contents{{"1", []string{"a", "c", "new"}}, {"2", []string{"c"}}}, 12)
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprint(f.Code, " ", f.Key, " ", f.File))
	}
	want := []string{"F_DUPKEY c 2", "F_SHARD  3", "F_SHARD b 1", "F_SHARD c 2", "F_SHARD d 2", "F_SHARD new 1", "F_SIZE_MISMATCH  "}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if found := x.Check([]Contents{{"1", []string{"a", "b"}}, {"2", []string{"c", "d"}}, {"3", []string{"e"}}}, 10); len(found) > 0 {
		t.Errorf("in order: %+v", found)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name     string
		n, total int
		want     string
	}{
		{"model.safetensors", 1, 3, "model-00001-of-00003.safetensors"},
		{"pytorch_model.bin", 12, 12, "pytorch_model-00012-of-00012.bin"},
		{"a.b.pth", 100000, 123456, "a.b-100000-of-123456.pth"},
		{"noext", 2, 2, "noext-00002-of-00002"},
	} {
		if got := ShardName(c.name, c.n, c.total); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	for name, want := range map[string]bool{"model.safetensors.index.json": true, "pytorch_model.bin.index.fp16.json": true, "diffusion_pytorch_model.fp16.safetensors.index.json": true,
		"config.json": false, "index.json": false, "model.index.jsonl": false} {
		if IsIndexName(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
	for _, name := range []string{"", ".", "..", "a/b", `a\b`, "../x", "/x", "C:x", "x:stream", "a\x00b", "a\nb", "a\u202eb", "\xff", strings.Repeat("x", 256)} {
		if nameProblem(name) == "" {
			t.Errorf("%q: accepted", name)
		}
	}
	for _, name := range []string{"a", ".hidden", "..a", "模型 1.bin", "model-00001-of-00002.safetensors"} {
		if p := nameProblem(name); p != "" {
			t.Errorf("%q: %s", name, p)
		}
	}
}

// TestSplit's expected values were worked out by hand along split_state_dict_into_shards_factory.
func TestSplit(t *testing.T) {
	alone := func(sizes ...int64) []Item {
		items := make([]Item, len(sizes))
		for i, n := range sizes {
			items[i] = Item{n, -1}
		}
		return items
	}
	for _, c := range []struct {
		name  string
		items []Item
		most  int64
		want  []Shard
	}{
		{"nothing", nil, 10, nil},
		{"one", alone(4, 4, 2), 10, []Shard{{[]int{0, 1, 2}, 10}}},
		{"greedy", alone(4, 4, 4, 4, 1), 9, []Shard{{[]int{0, 1}, 8}, {[]int{2, 3, 4}, 9}}},
		{"in order, not best fit", alone(6, 5, 4), 10, []Shard{{[]int{0}, 6}, {[]int{1, 2}, 9}}},
		{"outsized goes first", alone(1, 99, 1), 10, []Shard{{[]int{1}, 99}, {[]int{0, 2}, 2}}},
		{"outsized only", alone(11, 12), 10, []Shard{{[]int{0}, 11}, {[]int{1}, 12}}},
		{"exact", alone(10, 10), 10, []Shard{{[]int{0}, 10}, {[]int{1}, 10}}},
		{"empty tensors", alone(10, 0, 0, 1), 10, []Shard{{[]int{0, 1, 2}, 10}, {[]int{3}, 1}}},
		{"tied", []Item{{6, 7}, {6, -1}, {6, 7}, {3, 8}, {3, 8}}, 10, []Shard{{[]int{0, 2}, 6}, {[]int{1, 3, 4}, 9}}},
		{"tied to an outsized", []Item{{1, -1}, {20, 0}, {20, 0}}, 10, []Shard{{[]int{1, 2}, 20}, {[]int{0}, 1}}},
	} {
		if got := Split(c.items, c.most); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":32},"weight_map":{"layer.0.weight":"m-00001-of-00002.safetensors","é":"m-00002-of-00002.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"a":"../x","b":"x"},"more":[{"a":null,"b":[true,1e5]}]}`))
	f.Add([]byte(`{"weight_map":{"\ud83d\ude00\u0000":"a b"},"metadata":{"total_size":3.0,"x":{"y":"z"}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		x, err := ParseIndex(doc)
		if err != nil {
			return
		}
		out, err := EmitIndex(x.Files, x.Entries, max(0, x.TotalSize), x.Metadata)
		if err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		again, err := ParseIndex(out)
		if err != nil || len(again.Entries) != len(x.Entries) || again.TotalSize != max(0, x.TotalSize) {
			t.Fatalf("%q: read back %+v, %v", out, again, err)
		}
		files := make(map[string]string)
		for _, e := range x.Entries {
			files[e.Key] = x.Files[e.File]
		}
		for _, e := range again.Entries {
			if files[e.Key] != again.Files[e.File] {
				t.Fatalf("%q: %q is in %q", out, e.Key, again.Files[e.File])
			}
		}
	})
}
