package pickle

import "strings"

// python2Name spells a global as protocol 2 does when Python 3 writes it: with the names of Python 2.
//
// Source: CPython Lib/_compat_pickle.py, REVERSE_NAME_MAPPING and REVERSE_IMPORT_MAPPING.
func python2Name(module, name string) symbol {
	if s, ok := python2Names[symbol{module, name}]; ok {
		return s
	}
	if module == "builtins" {
		if strings.HasSuffix(name, "Error") || strings.HasSuffix(name, "Exception") || strings.HasSuffix(name, "Warning") ||
			name == "GeneratorExit" || name == "KeyboardInterrupt" || name == "StopIteration" || name == "SystemExit" {
			return symbol{"exceptions", name}
		}
	}
	if m, ok := python2Modules[module]; ok {
		module = m
	}
	return symbol{module, name}
}

var python2Names = func() map[symbol]symbol {
	m := map[symbol]symbol{
		{"builtins", "range"}:               {"__builtin__", "xrange"},
		{"builtins", "chr"}:                 {"__builtin__", "unichr"},
		{"builtins", "str"}:                 {"__builtin__", "unicode"},
		{"builtins", "int"}:                 {"__builtin__", "long"},
		{"builtins", "zip"}:                 {"itertools", "izip"},
		{"builtins", "map"}:                 {"itertools", "imap"},
		{"builtins", "filter"}:              {"itertools", "ifilter"},
		{"functools", "reduce"}:             {"__builtin__", "reduce"},
		{"_functools", "reduce"}:            {"__builtin__", "reduce"},
		{"sys", "intern"}:                   {"__builtin__", "intern"},
		{"itertools", "filterfalse"}:        {"itertools", "ifilterfalse"},
		{"itertools", "zip_longest"}:        {"itertools", "izip_longest"},
		{"collections", "UserDict"}:         {"UserDict", "IterableUserDict"},
		{"collections", "UserList"}:         {"UserList", "UserList"},
		{"collections", "UserString"}:       {"UserString", "UserString"},
		{"builtins", "ModuleNotFoundError"}: {"exceptions", "ImportError"},
	}
	for _, name := range strings.Fields("BrokenPipeError ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError " +
		"ConnectionResetError FileExistsError FileNotFoundError InterruptedError IsADirectoryError NotADirectoryError PermissionError " +
		"ProcessLookupError TimeoutError") {
		m[symbol{"builtins", name}] = symbol{"exceptions", "OSError"}
	}
	return m
}()

var python2Modules = map[string]string{
	"builtins": "__builtin__", "copyreg": "copy_reg", "queue": "Queue", "socketserver": "SocketServer", "configparser": "ConfigParser",
	"reprlib": "repr", "tkinter": "Tkinter", "_thread": "thread", "_dummy_thread": "dummy_thread", "winreg": "_winreg",
	"xmlrpc.client": "xmlrpclib", "http.client": "httplib", "html.entities": "htmlentitydefs", "html.parser": "HTMLParser",
	"http.cookies": "Cookie", "http.cookiejar": "cookielib", "http.server": "BaseHTTPServer", "subprocess": "commands",
	"urllib.parse": "urlparse", "urllib.robotparser": "robotparser", "urllib.request": "urllib2", "collections.abc": "_abcoll",
	"_functools": "functools", "_pickle": "pickle", "_bz2": "bz2",
}
