package pickle

import (
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for global, want := range map[string]string{
		"collections OrderedDict": Safe, "torch._utils _rebuild_tensor_v2": Safe, "torch FloatStorage": Safe, "torch.cuda HalfStorage": Safe,
		"torch float8_e4m3fn": Safe, "torch int4": Safe, "torch.storage UntypedStorage": Safe, "__builtin__ set": Safe, "builtins frozenset": Safe,
		"numpy._core.multiarray scalar": Safe, "numpy.core.multiarray _reconstruct": Safe, "numpy dtype": Safe, "__torch__.torch.nn Linear": Safe,
		"posix system": Unsafe, "nt system": Unsafe, "os system": Unsafe, "os.path join": Unsafe, "subprocess Popen": Unsafe, "__builtin__ eval": Unsafe,
		"builtins getattr": Unsafe, "_pickle loads": Unsafe, "operator attrgetter": Unsafe, "_operator methodcaller": Unsafe, "importlib import_module": Unsafe,
		"runpy _run_code": Unsafe, "sys exit": Unsafe, "torch.storage _load_from_bytes": Unsafe, "torch load": Unsafe, "functools partial": Unsafe,
		"evil_pkg.models Net": Unknown, "argparse Namespace": Unknown, "array _array_reconstructor": Unknown, "osx thing": Unknown,
		// look-alikes: bytes decide
		"c\u043ellections OrderedDict": Unknown, "torch._utils _rebuild_tensor_v2\x00": Unknown, "torch floatStorage": Unknown, "Collections OrderedDict": Unknown,
		"torch FloatStorage.x": Unknown, "evil FloatStorage": Unknown,
	} {
		module, name, _ := strings.Cut(global, " ")
		if got := Verdict(module, name); got != want {
			t.Errorf("%s is %s, want %s", global, got, want)
		}
	}
}

func TestAllowedIsNarrowerThanSafe(t *testing.T) {
	for global, want := range map[string]bool{
		"collections OrderedDict": true, "collections Counter": true, "collections defaultdict": false, "__builtin__ set": true, "builtins set": true,
		"__builtin__ frozenset": false, "__builtin__ bytearray": true, "__builtin__ bytes": false, "_codecs encode": true, "torch.sparse FloatTensor": true,
		"torch.sparse BoolTensor": false, "torch.cuda QInt8Storage": false, "torch QInt8Storage": true, "numpy dtype": false, "torch._tensor _rebuild_from_type_v2": true,
		"torch._tensor _rebuild_from_type": false, "torch._utils _rebuild_sparse_csr_tensor": false,
	} {
		module, name, _ := strings.Cut(global, " ")
		if got := Allowed(module, name); got != want {
			t.Errorf("%s: %v, want %v", global, got, want)
		}
	}
	for s := range allowed {
		if Verdict(s.module, s.name) != Safe {
			t.Errorf("%s.%s is allowed but not safe", s.module, s.name)
		}
	}
}

func TestRefusedListsWhatIsEmitted(t *testing.T) {
	root := &Dict{Items: []Item{
		{"ns", &Object{Class: &Global{"argparse", "Namespace"}, Args: emptyTuple, How: NewObj, HasState: true, State: &Dict{}}},
		{"dd", &Dict{Class: &Global{"collections", "defaultdict"}, Args: &Tuple{Items: []Value{&Global{"builtins", "int"}}}}},
		{"b", &Bytes{B: []byte("x")}},
	}}
	refs, err := Refused(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range refs {
		names = append(names, r.String())
	}
	if got := strings.Join(names, " "); got != "argparse.Namespace collections.defaultdict __builtin__.long" {
		t.Errorf("refused %s", got)
	}
}
