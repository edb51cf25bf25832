package statedict

import (
	"fmt"
	"testing"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// manyKeys is a checkpoint of n tensors named as in a deep DataParallel model, below state_dict.
func manyKeys(tb testing.TB, n int, prefix string) *Checkpoint {
	tb.Helper()
	cp := &Checkpoint{Format: TorchZip}
	sd := &pickle.Dict{Class: &pickle.Global{Module: "collections", Name: "OrderedDict"}}
	meta := &pickle.Dict{Class: sd.Class}
	version := &pickle.Dict{Items: []pickle.Item{{Key: "version", Value: int64(1)}}}
	parts := []string{"attn.q_proj.weight", "attn.q_proj.bias", "attn.k_proj.weight", "mlp.fc1.weight", "mlp.fc1.bias", "norm1.weight", "norm1.bias", "norm1.num_batches_tracked"}
	last, seen := "", map[string]bool{}
	for i := range n {
		key := fmt.Sprintf("%slayers.%d.%s", prefix, i/len(parts), parts[i%len(parts)])
		if m := parentPath(key); m != last {
			last = m
			var up []string
			for ; !seen[m]; m = parentPath(m) {
				seen[m] = true
				up = append(up, m)
			}
			for i := range up {
				meta.Items = append(meta.Items, pickle.Item{Key: up[len(up)-1-i], Value: &pickle.Dict{Items: version.Items}})
			}
		}
		d, _ := ParseDType("float32")
		st := &pickle.Storage{Tag: "storage", Key: fmt.Sprint(i), Location: "cpu", DType: d, Numel: 64, Index: i}
		cp.Storages = append(cp.Storages, Storage{Key: st.Key, Location: "cpu", DType: d, NBytes: 256})
		sd.Items = append(sd.Items, pickle.Item{Key: key, Value: &pickle.Tensor{Storage: st, DType: d, Shape: []int64{8, 8}, Stride: []int64{8, 1}}})
	}
	sd.Attrs = &pickle.Dict{Items: []pickle.Item{{Key: "_metadata", Value: meta}}}
	root := &pickle.Dict{Items: []pickle.Item{{Key: "epoch", Value: int64(3)}, {Key: "state_dict", Value: sd}}}
	built, err := cp.rebuild(root, cp.Storages)
	if err != nil {
		tb.Fatal(err)
	}
	return built
}

func BenchmarkApply100000KeysTenOps(b *testing.B) {
	cp := manyKeys(b, 100_000, "module.")
	r, err := ParseRecipe([]byte(`
steps:
  - strip_prefix: module.
  - drop: "**.num_batches_tracked"
  - rename: {from: 're:^layers\.(\d+)\.', to: 'blocks.$1.'}
  - keep: ["blocks.**", "neck.**"]
  - add_prefix: net.
  - rename: {from: "net.blocks.", to: "net.encoder."}
  - extract: net
  - drop: {match: "**.norm*.bias"}
  - cast: {to: float16, match: "**.weight", except: "**.norm*.*"}
  - set_device: cpu
`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		out, _, err := r.Apply(cp, nil)
		if err != nil {
			b.Fatal(err)
		}
		if len(out.Entries) != 75_000 {
			b.Fatal(len(out.Entries))
		}
	}
}

func BenchmarkApplyEachOp(b *testing.B) {
	cp := manyKeys(b, 100_000, "module.")
	for _, op := range []Op{
		&StripPrefix{Prefix: []string{"module."}},
		&Drop{Match: Patterns{"**.num_batches_tracked"}},
		&Drop{Match: Patterns{"**.norm*.*"}},
		&Drop{Match: Patterns{"re:norm[12]"}},
		&Rename{From: `re:^module\.layers\.(\d+)\.`, To: "blocks.$1."},
		&AddPrefix{Prefix: "net."},
		&Extract{Prefix: "module"},
		&Cast{To: "float16"},
		&SetDevice{Device: "cuda:0"},
		&SetRequiresGrad{Value: true},
		&Unshare{Match: Patterns{"**"}},
		&Compact{},
	} {
		b.Run(op.Name(), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := (&Recipe{Steps: []Op{op}}).Apply(cp, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
