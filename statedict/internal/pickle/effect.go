package pickle

import "strings"

// Effect says in a few words what importing and calling a global outside the safe list can do, "" for a safe one.
func Effect(module, name string) string {
	switch Verdict(module, name) {
	case Safe:
		return ""
	case Unknown:
		return "imports a module that is not known here and runs what it holds"
	}
	s := canonicalSymbol(module, name)
	if e := effects[s]; e != "" {
		return e
	}
	top, _, _ := strings.Cut(s.module, ".")
	if e := moduleEffects[top]; e != "" {
		return e
	}
	return "reaches code that can do anything the user can"
}

// effects are by name, moduleEffects by the first part of the module.
var effects, moduleEffects = func() (map[symbol]string, map[string]string) {
	byName, byModule := make(map[symbol]string), make(map[string]string)
	add := func(effect, module, names string) {
		for _, n := range strings.Fields(names) {
			byName[symbol{module, n}] = effect
		}
	}
	const runs, fetches, files, reads = "runs Python code", "reaches other functions by name", "reads or writes files", "reads another pickle"
	add(runs, "builtins", "eval exec execfile compile breakpoint")
	add("imports any module", "builtins", "__import__")
	add(fetches, "builtins", "getattr setattr delattr globals locals vars type super map filter reduce apply")
	add(files, "builtins", "open file input raw_input")
	for _, m := range []string{"operator", "_operator"} {
		add(fetches, m, "attrgetter itemgetter methodcaller call")
	}
	for _, m := range []string{"functools", "_functools"} {
		add(fetches, m, "partial reduce")
	}
	for _, m := range []string{"io", "_io", "codecs", "bz2", "gzip", "lzma"} {
		add(files, m, "open open_code FileIO GzipFile")
	}
	add(reads, "torch", "load")
	add(reads, "torch.storage", "_load_from_bytes")
	add(reads, "torch.serialization", "load")
	add(reads, "numpy", "load")
	add(reads, "pandas", "read_pickle")
	modules := func(effect, names string) {
		for _, n := range strings.Fields(names) {
			byModule[n] = effect
		}
	}
	modules("runs programs or commands of the system", "os posix nt subprocess commands _posixsubprocess pty platform multiprocessing asyncio")
	modules(runs, "runpy code codeop pdb bdb cProfile profile trace timeit doctest types marshal ast compileall py_compile pip idlelib")
	modules("imports any module", "importlib imp pkgutil zipimport")
	modules(reads, "pickle cPickle _pickle dill cloudpickle joblib shelve")
	modules("opens network connections", "socket ssl http httplib urllib urllib2 ftplib telnetlib smtplib xmlrpc requests aiohttp paramiko webbrowser")
	modules(files, "shutil tempfile pathlib2 glob fileinput linecache sqlite3 ntpath posixpath")
	modules("calls machine code", "ctypes _ctypes cffi")
	return byName, byModule
}()
