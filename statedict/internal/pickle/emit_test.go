package pickle

import (
	"bytes"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// reEmit loads a pickle and writes it again, keeping the keys of its storages.
func reEmit(p []byte, legacy bool) (out []byte, first *Pickle, err error) {
	first, err = Load(p, nil)
	if err != nil {
		return nil, first, err
	}
	out, _, err = Emit(first.Root, &EmitOptions{Key: func(s *Storage) string { return s.Key }, Legacy: legacy, Modules: first.Modules})
	return out, first, err
}

// otherWriter says why a pickle need not come out the same, "" where it must.
func otherWriter(s sample) string {
	has := func(text string) bool { return bytes.Contains(s.data, []byte(text)) }
	switch {
	case !bytes.HasPrefix(s.data, []byte("\x80\x02")):
		return "another protocol"
	case has("c__torch__") || has("QK\x00(K"):
		return "written by TorchScript's C++"
	case has("c__torch__.") || strings.HasSuffix(s.name, "constants.pkl"):
		return "written by TorchScript's C++"
	case has("_rebuild_tensor\n"):
		return "_rebuild_tensor of torch 0.3, written as v2"
	case has("\x89Nt"):
		return "hooks None of torch 0.3, written as an empty OrderedDict"
	case has("OrderedDict\nq\x01]q\x02"):
		return "written by Python 2"
	case strings.HasPrefix(s.name, "synthetic/newer_") || strings.HasPrefix(s.name, "synthetic/dcp/"):
		return "made by hand: counts of one byte in two, shared sizes"
	}
	return ""
}

// What CPython and torch wrote at protocol 2 comes out again byte for byte.
func TestEmitRepeatsTorch(t *testing.T) {
	same, other := 0, map[string]int{}
	for _, s := range samples(t, corpus(t)) {
		if strings.HasPrefix(s.name, "hostile/") || strings.HasPrefix(s.name, "broken/") || strings.HasSuffix(s.name, ".safetensors") {
			continue
		}
		out, first, err := reEmit(s.data, s.legacy)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		in := s.data[:first.Len]
		if bytes.Equal(in, out) {
			same++
			continue
		}
		if why := otherWriter(s); why != "" {
			other[why]++
			continue
		}
		at := 0
		for at < len(in) && at < len(out) && in[at] == out[at] {
			at++
		}
		t.Errorf("differs: %s at %d of %d/%d: %q / %q", s.name, at, len(in), len(out), in[max(0, at-20):min(at+30, len(in))], out[max(0, at-20):min(at+30, len(out))])
	}
	t.Logf("%d the same; not: %v", same, other)
	if same < 190 {
		t.Errorf("only %d pickles come out the same", same)
	}
}

// view is a float32 tensor over a storage, for trees made by hand.
func view(s *Storage, dims ...int64) *Tensor {
	return &Tensor{Storage: s, DType: s.DType, Shape: dims, Stride: rowMajor(dims)}
}

// Section 4.2 of the format notes: the annotated state dict of 311 bytes.
func TestEmitStateDictOfTwoTensors(t *testing.T) {
	version := "version"
	entry := func() *Dict { return &Dict{Items: []Item{{version, int64(1)}}} }
	od := &Global{"collections", "OrderedDict"}
	root := &Dict{Class: od, Items: []Item{
		{"a.weight", view(&Storage{DType: dtype.Float32, Numel: 6}, 2, 3)},
		{"a.bias", view(&Storage{DType: dtype.Float32, Numel: 2}, 2)},
	}, Attrs: &Dict{Items: []Item{{"_metadata", &Dict{Class: od, Items: []Item{{"", entry()}, {"a", entry()}}}}}}}
	out, storages, err := Emit(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) != 311 || len(storages) != 2 || storages[0].Numel != 6 {
		t.Fatalf("%d bytes, %d storages: %q", len(out), len(storages), out)
	}
	for at, want := range map[int]string{0: "\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X", 34: "X\x08\x00\x00\x00a.weightq\x02",
		130: "X\x03\x00\x00\x00cpuq\x07K\x06tq\x08QK\x00K\x02K\x03\x86q\x09", 188: "h\x03((h\x04h\x05X\x01\x00\x00\x001q\x0fh\x07K\x02tq\x10Q",
		237: "u}q\x16X\x09\x00\x00\x00_metadata"} {
		if got := string(out[at : at+len(want)]); got != want {
			t.Errorf("at %d: %q, want %q", at, got, want)
		}
	}
	if string(out[302:]) != "h\x1bK\x01susb." {
		t.Errorf("the end is %q", out[302:])
	}
}

func TestEmitStorageIdentity(t *testing.T) {
	s := &Storage{DType: dtype.Float32, Numel: 4, Location: "cuda:0"}
	x := view(s, 4)
	root := &List{Items: []Value{x, x, view(s, 2, 2), "cuda:0", "0"}}
	out, storages, err := Emit(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(storages) != 1 {
		t.Errorf("%d storages, want 1", len(storages))
	}
	if n := bytes.Count(out, []byte("cuda:0")); n != 3 {
		t.Errorf("the location is written %d times, want once for each id and once as a text", n)
	}
	if n := bytes.Count(out, []byte("X\x01\x00\x00\x000")); n != 2 {
		t.Errorf("the key is written %d times, want once as a key and once as a text", n)
	}
	if n := bytes.Count(out, []byte("Q")); n != 2 {
		t.Errorf("%d persistent ids, want one for each of two tensors", n)
	}
	legacy, _, err := Emit(root, &EmitOptions{Legacy: true, Location: func(*Storage) string { return "cpu" }, Key: func(*Storage) string { return "123456" }})
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(legacy, []byte("123456")); n != 2 {
		t.Errorf("legacy: the key is written %d times, want once for each id", n)
	}
	if n := bytes.Count(legacy, []byte("X\x03\x00\x00\x00cpu")); n != 1 {
		t.Errorf("legacy: cpu is written %d times, want once", n)
	}
}

func TestEmitStandIns(t *testing.T) {
	old := &Storage{DType: dtype.Float32, Numel: 4}
	x := view(old, 4)
	half := &Storage{DType: dtype.Float8E4M3FN, Numel: 4}
	y := view(half, 4)
	root := &List{Items: []Value{x, x}}
	out, storages, err := Emit(root, &EmitOptions{Tensor: func(t *Tensor) *Tensor {
		if t == x {
			return y
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(storages) != 1 || storages[0] != half {
		t.Error("want the storage of the stand-in alone")
	}
	if bytes.Count(out, []byte("_rebuild_tensor_v3")) != 1 || !bytes.Contains(out, []byte("torch.storage\nUntypedStorage")) {
		t.Errorf("want one v3 tensor over an untyped storage: %q", out)
	}
	window := &Storage{DType: dtype.Float32, Numel: 2, Root: old, Offset: 1}
	out, storages, err = Emit(view(window, 2), nil)
	if err != nil || len(storages) != 1 || storages[0] != old || !bytes.Contains(out, []byte("QK\x01K\x02\x85")) {
		t.Errorf("a window is to become an offset in its root: %q, %v", out, err)
	}
}

func TestEmitRefusesWhatNoPickleCanSay(t *testing.T) {
	self := &Tuple{}
	self.Items = []Value{"x", self}
	for name, root := range map[string]Value{
		"tuple":   &Dict{Items: []Item{{"key", self}}},
		"storage": &Dict{Items: []Item{{"key", &Tensor{DType: dtype.Float32}}}},
		"class":   &Dict{Items: []Item{{"key", &Global{"a\nb", "c"}}}},
		"id":      &Dict{Items: []Item{{"key", &Object{Class: &Global{Name: "persistent_load"}, Args: emptyTuple}}}},
	} {
		_, _, err := Emit(root, nil)
		e, ok := err.(*Error)
		if !ok || e.Code != CodeUnsupported || !strings.Contains(e.Msg, "key") {
			t.Errorf("%s: error %v, want one that names the key", name, err)
		}
	}
}
