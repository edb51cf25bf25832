package pickle

import (
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/dtype"
)

// Verdicts on a global.
const (
	Safe    = "safe"    // holds plain data, or is one of torch's own rebuild functions
	Unknown = "unknown" // code that is not known here
	Unsafe  = "unsafe"  // known to run programs, code or pickles, or to reach such
)

// Allowed tells whether torch.load accepts a global with weights_only=True, which is its default since 2.6. Names are compared
// byte for byte, after Python 2's module names have been mapped as torch does.
//
// Source: torch/_weights_only_unpickler.py of 2.11.
func Allowed(module, name string) bool {
	switch module {
	case "__builtin__":
		module = "builtins"
	case "copy_reg":
		module = "copyreg"
	}
	return allowed[symbol{module, name}]
}

var allowed = func() map[symbol]bool {
	m := make(map[symbol]bool)
	add := func(module, names string) {
		for _, n := range strings.Fields(names) {
			m[symbol{module, n}] = true
		}
	}
	add("collections", "OrderedDict Counter")
	add("torch.nn.parameter", "Parameter")
	add("torch.serialization", "_get_layout")
	add("torch", "Size Tensor device")
	add("_codecs", "encode")
	add("builtins", "bytearray set complex")
	add("torch.storage", "TypedStorage UntypedStorage")
	add("torch", strings.Join(qschemes, " "))
	add("torch", "uint1 uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7")
	for _, d := range dtype.All() {
		m[symbol{"torch", d.String()}] = true
	}
	for name := range storageTypes {
		if strings.HasSuffix(name, "ypedStorage") {
			continue
		}
		m[symbol{"torch", name}] = true
		if name[0] != 'Q' {
			m[symbol{"torch.cuda", name}] = true
		}
	}
	for _, n := range strings.Fields("Double Float Half BFloat16 Long Int Short Char Byte Bool") {
		for _, module := range []string{"torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse"} {
			if n != "Bool" || !strings.HasSuffix(module, "sparse") {
				m[symbol{module, n + "Tensor"}] = true
			}
		}
	}
	add("torch._utils", `_rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor _rebuild_tensor _rebuild_tensor_v2
		_rebuild_tensor_v3 _rebuild_sparse_tensor _rebuild_meta_tensor_no_storage _rebuild_nested_tensor _rebuild_wrapper_subclass
		_rebuild_device_tensor_from_numpy _rebuild_device_tensor_from_cpu_tensor`)
	add("torch._tensor", "_rebuild_from_type_v2")
	return m
}()

// Verdict judges a global as scan does: Safe for the project's safe list, Unsafe for what is known to be dangerous, else
// Unknown. Names are compared byte for byte, so that a look-alike is Unknown.
func Verdict(module, name string) string {
	if Allowed(module, name) || safe[canonicalSymbol(module, name)] {
		return Safe
	}
	if module == "__torch__" || strings.HasPrefix(module, "__torch__.") {
		return Safe // classes of TorchScript are data
	}
	s := canonicalSymbol(module, name)
	if dangerous[s] {
		return Unsafe
	}
	top, _, _ := strings.Cut(s.module, ".")
	if dangerousModules[s.module] || dangerousModules[top] {
		return Unsafe
	}
	return Unknown
}

// safe is what goes beyond torch's list: containers and scalars that hold plain data, numpy's rebuilders, old names of torch.
var safe = func() map[symbol]bool {
	m := make(map[symbol]bool)
	add := func(module, names string) {
		for _, n := range strings.Fields(names) {
			m[symbol{module, n}] = true
		}
	}
	add("builtins", "int float bool str bytes list tuple dict frozenset slice range object")
	add("collections", "defaultdict deque")
	add("copyreg", "_reconstructor")
	add("numpy.core.multiarray", "scalar _reconstruct")
	add("numpy.core.numeric", "_frombuffer")
	add("numpy", "dtype ndarray")
	add("torch", "strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc contiguous_format preserve_format channels_last channels_last_3d")
	add("torch.storage", "_UntypedStorage _TypedStorage")
	add("torch", "UntypedStorage TypedStorage")
	add("torch._utils", "_rebuild_sparse_csr_tensor _rebuild_xla_tensor _rebuild_mlc_tensor")
	add("torch.jit._pickle", "restore_type_tag build_intlist build_doublelist build_boollist build_tensorlist build_tensor_from_id")
	return m
}()

var dangerousModules = func() map[string]bool {
	m := make(map[string]bool)
	for _, n := range strings.Fields(`os posix nt ntpath posixpath sys subprocess commands _posixsubprocess pty platform shutil socket ssl ctypes _ctypes cffi
		importlib imp runpy pkgutil zipimport code codeop pdb bdb cProfile profile trace timeit doctest webbrowser multiprocessing asyncio
		pickle cPickle _pickle dill cloudpickle joblib marshal shelve types inspect gc signal threading thread _thread pip pydoc
		http httplib urllib urllib2 ftplib telnetlib smtplib xmlrpc requests aiohttp paramiko tempfile pathlib2 glob fileinput linecache
		idlelib ensurepip venv distutils setuptools nose unittest lib2to3 ast compileall py_compile tkinter turtle sqlite3 antigravity`) {
		m[n] = true
	}
	return m
}()

// dangerous are names in modules that are harmless otherwise.
var dangerous = func() map[symbol]bool {
	m := make(map[symbol]bool)
	add := func(module, names string) {
		for _, n := range strings.Fields(names) {
			m[symbol{module, n}] = true
		}
	}
	add("builtins", "eval exec execfile compile open file input raw_input apply __import__ getattr setattr delattr globals locals vars dir breakpoint memoryview map filter reduce type super classmethod staticmethod property exit quit help")
	for _, module := range []string{"operator", "_operator"} {
		add(module, "attrgetter itemgetter methodcaller call")
	}
	for _, module := range []string{"functools", "_functools"} {
		add(module, "partial reduce")
	}
	add("itertools", "imap ifilter starmap")
	add("torch", "load hub jit package")
	add("torch.storage", "_load_from_bytes")
	add("torch.serialization", "load")
	add("torch.hub", "load load_state_dict_from_url download_url_to_file")
	add("torch.jit", "load script")
	add("torch.utils.cpp_extension", "load load_inline")
	add("torch._inductor.codecache", "compile_file")
	add("torch.distributed.rpc", "rpc_sync")
	add("numpy", "load fromfile loadtxt genfromtxt memmap")
	add("numpy.testing._private.utils", "runstring")
	add("numpy.f2py.crackfortran", "getlincoef")
	add("pandas", "read_pickle eval")
	add("codecs", "open")
	add("io", "open open_code FileIO")
	add("_io", "open open_code FileIO")
	add("logging", "FileHandler")
	add("logging.config", "listen fileConfig dictConfig")
	add("bz2", "open")
	add("gzip", "open GzipFile")
	add("lzma", "open")
	return m
}()

// Refused lists the globals that an emitted pickle of root names and that weights_only=True refuses, by first use. Empty means
// that torch.load accepts the pickle under that setting; a call by NEWOBJ_EX or a text that no pickle can say is an error.
func Refused(root Value, opt *EmitOptions) ([]GlobalRef, error) {
	e := newEmitter(opt)
	if failed := e.run(root); failed != nil {
		return nil, failed
	}
	var out []GlobalRef
	for _, g := range e.refs {
		if !Allowed(g.Module, g.Name) {
			out = append(out, g)
		}
	}
	return out, nil
}
