package statedict_test

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// TestOracle opens every file that real PyTorch has described and compares everything that the oracle says: the object
// tree, globals, module versions, storages, and of each tensor path, dtype, shape, stride, offset, storage, device, flags,
// quantizer, parts, hash and range of its elements.
func TestOracle(t *testing.T) {
	c := oracleCounts{files: map[statedict.Format]int{}, tensors: map[statedict.Format]int{}}
	refused := 0
	for _, file := range corpusFiles(t) {
		t.Run(filepath.Base(filepath.Dir(file))+"/"+filepath.Base(file), func(t *testing.T) {
			o, _ := readOracle(t, file)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case o.Expect != "" || o.Oracle == "none":
				refused++
				checkBroken(t, filepath.Base(file), data, o)
			case o.Members != nil:
				z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
				if err != nil {
					t.Fatal(err)
				}
				for name, m := range o.Members {
					if m.Oracle == "" {
						continue // a file of another kind
					}
					member, err := fs.ReadFile(z, name)
					if err != nil {
						t.Fatal(err)
					}
					c.check(t, name, member, m)
				}
			case o.Blobs != nil:
				for _, b := range o.Blobs {
					c.check(t, "blob", data[b.Offset:b.Offset+b.Length], &b.oracle)
				}
			default:
				c.check(t, filepath.Base(file), data, o)
			}
		})
	}
	t.Logf("files by format: %v; tensors: %v; %d broken ones refused or reported", c.files, c.tensors, refused)
}

// checkBroken opens a file that is not whole.
func checkBroken(t *testing.T, name string, data []byte, o *oracle) {
	cp, err := openBytes(name, data)
	var codes []string
	if err != nil {
		codes = append(codes, statedict.Code(err))
	} else {
		for _, f := range cp.Findings {
			codes = append(codes, f.Code)
		}
	}
	if (err != nil) != (o.Expect == "reject") && o.Expect != "" {
		t.Errorf("error %v, want %s", err, o.Expect)
	}
	if len(o.Codes) > 0 && !slices.ContainsFunc(o.Codes, func(c string) bool { return slices.Contains(codes, c) }) {
		t.Errorf("codes %v, want one of %v", codes, o.Codes)
	}
	if o.Expect == "" && err == nil && len(codes) == 0 {
		t.Error("opens without a finding; the oracle could not read it: " + o.Error)
	}
}

// oracleCounts counts what was compared.
type oracleCounts struct{ files, tensors map[statedict.Format]int }

func (c *oracleCounts) check(t *testing.T, name string, data []byte, o *oracle) {
	cp, err := openBytes(name, data)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	c.files[cp.Format]++
	c.tensors[cp.Format] += len(cp.Entries)
	checkOracle(t, cp, o)
}

func openBytes(name string, data []byte) (*statedict.Checkpoint, error) {
	return statedict.Open(context.Background(), statedict.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))})
}

func checkOracle(t *testing.T, cp *statedict.Checkpoint, o *oracle) {
	entries := map[int]int{} // by the oracle's number
	parts := map[string][]*oracleTensor{}
	var want []*oracleTensor
	for i := range o.Tensors {
		w := &o.Tensors[i]
		if w.Error != "" {
			continue // no array: text, dates, Python objects
		}
		if parent, part := w.parent(); part {
			parts[parent] = append(parts[parent], w)
			continue
		}
		entries[w.I] = len(want)
		want = append(want, w)
	}
	if len(want) != len(cp.Entries) {
		var got []string
		for i := range cp.Entries[:min(20, len(cp.Entries))] {
			got = append(got, cp.Entries[i].Path())
		}
		t.Fatalf("%d tensors, want %d; have %q", len(cp.Entries), len(want), got)
	}
	x := &oracleCheck{T: t, cp: cp, o: o, storage: map[string]statedict.StorageID{}}
	for i, w := range want {
		e := &cp.Entries[i]
		path := w.path()
		if e.Path() != path && !strings.Contains(path, "bytes:") {
			t.Errorf("tensor %d: path %q, want %q", i, e.Path(), path)
		}
		if w.SameObjectAs != nil && !statedict.SameNode(e, &cp.Entries[entries[*w.SameObjectAs]]) {
			t.Errorf("%s: is not the same object as tensor %d", path, *w.SameObjectAs)
		}
		if e.RequiresGrad != w.RequiresGrad || e.Parameter != w.Parameter {
			t.Errorf("%s: requires_grad %v parameter %v, want %v and %v", path, e.RequiresGrad, e.Parameter, w.RequiresGrad, w.Parameter)
		}
		x.kind(path, e, w)
		var info statedict.TensorInfo
		if e.Info != nil {
			info = *e.Info
		}
		if w.SameObjectAs == nil {
			if len(info.Parts) != len(parts[path]) {
				t.Errorf("%s: %d parts, want %d", path, len(info.Parts), len(parts[path]))
			} else {
				for k, p := range parts[path] {
					x.view(path+" "+info.Parts[k].Name, info.Parts[k].View, "", p)
				}
			}
		}
		if !strings.HasPrefix(w.Kind, "sparse:") {
			x.view(path, e.View, info.Code, w)
		}
	}
	x.file(entries)
}

type oracleCheck struct {
	*testing.T
	cp      *statedict.Checkpoint
	o       *oracle
	storage map[string]statedict.StorageID
}

// kind compares what few tensors have.
func (x *oracleCheck) kind(path string, e *statedict.Entry, w *oracleTensor) {
	var info statedict.TensorInfo
	if e.Info != nil {
		info = *e.Info
	}
	layout, _ := strings.CutPrefix(w.Kind, "sparse:torch.")
	if !strings.HasPrefix(w.Kind, "sparse:") {
		layout = ""
	}
	if info.Layout != layout || info.QScheme != w.QScheme || (w.Kind == "meta") != (info.Device == "meta") {
		x.Errorf("%s: %+v, want kind %q, qscheme %q", path, info, w.Kind, w.QScheme)
	}
	if w.QScale != nil && (info.Scale != *w.QScale || info.ZeroPoint != *w.QZeroPoint) || w.QAxis != nil && info.Axis != *w.QAxis {
		x.Errorf("%s: scale %v zero point %d axis %d", path, info.Scale, info.ZeroPoint, info.Axis)
	}
	if e.Conj != w.Conj || e.Neg != w.Neg {
		x.Errorf("%s: conj %v neg %v, want %v and %v", path, e.Conj, e.Neg, w.Conj, w.Neg)
	}
}

// view compares a tensor or a part of one.
func (x *oracleCheck) view(path string, v statedict.View, code string, w *oracleTensor) {
	dt := v.DType.String()
	if code != "" {
		dt = code
	}
	if w.DType == "invalid" || strings.HasPrefix(w.DType, "str") {
		dt = w.DType // torch has no name for it
	}
	if w.FileDType != "" && !sameCode(w.FileDType, cmp.Or(code, dt)) || !sameCode(w.DType, dt) {
		x.Errorf("%s: dtype %s, want %s", path, dt, w.DType)
	}
	shape := w.Shape
	if w.NE != nil {
		shape = slices.Clone(w.NE)
		slices.Reverse(shape)
	}
	if !slices.Equal(v.Shape, shape) {
		x.Errorf("%s: shape %v, want %v", path, v.Shape, shape)
	}
	if w.Stride != nil && !slices.Equal(v.Stride, w.Stride) || w.Storage != nil && v.Offset != w.Offset {
		x.Errorf("%s: stride %v offset %d, want %v and %d", path, v.Stride, v.Offset, w.Stride, w.Offset)
	}
	if w.Storage != nil && v.Storage != statedict.NoStorage {
		st := x.cp.Storages[v.Storage]
		if !strings.HasPrefix(*w.Storage, "inline") && st.Key != *w.Storage {
			x.Errorf("%s: storage %q, want %q", path, st.Key, *w.Storage)
		}
		if w.Location != nil && st.Location != *w.Location {
			x.Errorf("%s: location %q, want %q", path, st.Location, *w.Location)
		}
		if id, ok := x.storage[*w.Storage]; ok && id != v.Storage && w.ViewOffset == nil {
			x.Errorf("%s: does not share storage %q", path, *w.Storage)
		}
		x.storage[*w.Storage] = v.Storage
	}
	if w.SHA256 == "" {
		return
	}
	in, err := x.cp.Inspect(context.Background(), v, statedict.InspectOptions{})
	switch {
	case err != nil:
		x.Errorf("%s: %v", path, err)
	case in.SHA256 != w.SHA256:
		x.Errorf("%s: sha256 %s, want %s", path, in.SHA256, w.SHA256)
	case in.Stats == nil || w.Min == nil || w.QScheme != "" || v.DType.IsComplex():
	case !sameFloat(in.Stats.Min, w.Min, 0) || !sameFloat(in.Stats.Max, w.Max, 0) || !sameFloat(in.Stats.Mean, w.Mean, 1e-9):
		// The oracle's range has the infinities in it, ours has not.
		if w.Inf == nil || *w.Inf == 0 {
			x.Errorf("%s: %v to %v, mean %v; want %v to %v, mean %v", path, in.Stats.Min, in.Stats.Max, in.Stats.Mean, w.Min, w.Max, w.Mean)
		}
	case w.NaN != nil && (in.Stats.NaN != *w.NaN || in.Stats.Inf != *w.Inf):
		x.Errorf("%s: %d NaN %d Inf, want %d and %d", path, in.Stats.NaN, in.Stats.Inf, *w.NaN, *w.Inf)
	}
}

func sameFloat(f float64, want any, tolerance float64) bool {
	w, ok := want.(float64)
	return ok && math.Abs(f-w) <= tolerance*math.Max(math.Abs(f), math.Abs(w))
}

// file compares what the file has beside tensors.
func (x *oracleCheck) file(entries map[int]int) {
	cp, o := x.cp, x.o
	if o.Tree != nil {
		entry := func(i int) int {
			if at, ok := entries[i]; ok {
				return at
			}
			return -1
		}
		for _, d := range statedict.TreeDiffs(cp, o.Tree, entry) {
			x.Error(d)
		}
	}
	for _, v := range o.Versions {
		if v.N == nil {
			continue
		}
		var path []string
		for _, step := range v.Path {
			path = append(path, pyStr(step))
		}
		for _, d := range statedict.MetadataDiffs(cp, path, *v.N, v.Value) {
			x.Error(d)
		}
	}
	if o.Globals != nil {
		x.globals()
	}
	x.storages()
	if o.Strings != nil && !maps.Equal(cp.Metadata, o.Strings) {
		x.Errorf("metadata %v, want %v", cp.Metadata, o.Strings)
	}
	for i, kv := range o.KV {
		if i >= len(cp.MetadataKeys) || cp.MetadataKeys[i] != kv[0] {
			x.Errorf("gguf pair %d: keys %v, want %v", i, cp.MetadataKeys, kv[0])
		} else if s, ok := kv[2].(string); ok && cp.Metadata[s] == s {
			x.Errorf("gguf pair %v: %q, want %q", kv[0], cp.Metadata[cp.MetadataKeys[i]], s)
		}
	}
}

func (x *oracleCheck) globals() {
	var got []string
	for _, g := range x.cp.Globals {
		if name := g.Module + " " + g.Name; !slices.Contains(got, name) {
			got = append(got, name)
		}
	}
	want := x.o.Globals
	if x.cp.Format == statedict.Pickle {
		// The oracle names those of the pickles inside where they are loaded.
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) {
		x.Errorf("globals %q, want %q", got, want)
	}
}

func (x *oracleCheck) storages() {
	i := 0
	for _, w := range x.o.Storages {
		for i < len(x.cp.Storages) && x.cp.Storages[i].Key != w.Key && !strings.HasPrefix(w.Key, "inline") {
			i++ // a window of old legacy files, which the oracle lists under its root
		}
		if i == len(x.cp.Storages) {
			x.Errorf("storage %q is missing, or out of order", w.Key)
			return
		}
		st := &x.cp.Storages[i]
		v := statedict.View{Storage: statedict.StorageID(i), DType: st.DType, Shape: []int64{st.NBytes / st.DType.Size() * st.DType.PerByte()}, Stride: []int64{1}}
		if st.DType.String() != w.DType || st.Location != w.Location || st.NBytes != w.NBytes {
			x.Errorf("storage %q: %s %q %d bytes, want %s %q %d", w.Key, st.DType, st.Location, st.NBytes, w.DType, w.Location, w.NBytes)
		} else if got := hashOf(x, x.cp, v); got != w.SHA256 {
			x.Errorf("storage %q: sha256 %s, want %s", w.Key, got, w.SHA256)
		}
		i++
	}
}

// sameCode tells that a format's own dtype code means a torch dtype.
func sameCode(code, dt string) bool {
	names := map[string]string{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
		"I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
		"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64", "F4": "float4_e2m1fn_x2", "F8_E8M0": "float8_e8m0fnu",
		"F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz"}
	return code == dt || names[code] == dt
}
