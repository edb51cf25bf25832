package pickle

import (
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

func osCorpus() string { return os.Getenv("WEIGHTROOM_CORPUS") }

// opcodeCases are streams and what they give: a repr, or the code of an error and where it is.
var opcodeCases = []struct {
	name, stream, want string
}{
	// scalars
	{"NONE", "N.", "None"},
	{"NEWTRUE", "\x80\x02\x88.", "True"},
	{"NEWFALSE", "\x80\x02\x89.", "False"},
	{"BININT1", "K\xff.", "255"},
	{"BININT2", "M\x00\x01.", "256"},
	{"BININT negative", "J\xff\xff\xff\xff.", "-1"},
	{"BININT least", "J\x00\x00\x00\x80.", "-2147483648"},
	{"LONG1 of no bytes", "\x80\x02\x8a\x00.", "0"},
	{"LONG1 one byte", "\x80\x02\x8a\x01\xff.", "-1"},
	{"LONG1 of Python 2", "\x80\x02\x8a\x01\x40.", "64"},
	{"LONG1 eight bytes", "\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", "-9223372036854775808"},
	{"LONG1 nine bytes", "\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", "9223372036854775808"},
	{"LONG1 nine bytes, small", "\x80\x02\x8a\x09\x05\x00\x00\x00\x00\x00\x00\x00\x00.", "5"},
	{"LONG1 negative big", "\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff.", "-18446744073709551616"},
	{"LONG4", "\x80\x02\x8b\x02\x00\x00\x00\x00\x01.", "256"},
	{"LONG4 of no bytes", "\x80\x02\x8b\x00\x00\x00\x00.", "0"},
	{"LONG4 negative", "\x80\x02\x8b\x00\x00\x00\x80.", "E_PICKLE 2"},
	{"LONG4 too long", "\x80\x02\x8b\x01\x04\x00\x00" + strings.Repeat("a", 1025) + ".", "E_LIMIT 2"},
	{"INT", "I42\n.", "42"},
	{"INT true", "I01\n.", "True"},
	{"INT false", "I00\n.", "False"},
	{"INT beyond 64 bits", "I123456789012345678901234567890\n.", "123456789012345678901234567890"},
	{"INT of no digits", "Ix\n.", "E_PICKLE 0"},
	{"LONG", "L-5L\n.", "-5"},
	{"LONG without L", "L5\n.", "5"},
	{"LONG big", "L119547037146038801333356L\n.", "119547037146038801333356"},
	{"LONG too long", "L" + strings.Repeat("9", 3000) + "L\n.", "E_PICKLE 0"},
	{"FLOAT", "F1.5\n.", "1.5"},
	{"FLOAT inf", "Finf\n.", "inf"},
	{"FLOAT nan", "Fnan\n.", "nan"},
	{"FLOAT overflow", "F1e999\n.", "inf"},
	{"FLOAT of no number", "Fabc\n.", "E_PICKLE 0"},
	{"BINFLOAT", "G?\xf8\x00\x00\x00\x00\x00\x00.", "1.5"},
	// strings
	{"STRING", `S'a\tb\x41\101\'\\'` + "\n.", `"a\tbAA'\\"`},
	{"STRING double quotes", `S"it's"` + "\n.", `"it's"`},
	{"STRING unknown escape", `S'\q'` + "\n.", `'\\q'`},
	{"STRING without quotes", "Sabc\n.", "E_PICKLE 0"},
	{"STRING of one quote", "S'\n.", "E_PICKLE 0"},
	{"STRING latin-1", `S'\xe9'` + "\n.", "'é'"},
	{"STRING UTF-8", `S'\xc3\xa9'` + "\n.", "'é'"},
	{"BINSTRING", "T\x02\x00\x00\x00ab.", "'ab'"},
	{"BINSTRING negative", "T\x00\x00\x00\x80.", "E_PICKLE 0"},
	{"SHORT_BINSTRING latin-1", "U\x02\xe9a.", "'éa'"},
	{"UNICODE", `V\u00e9\U0001f600\u005c` + "\n.", `'é😀\\'`},
	{"UNICODE after two backslashes", `V\\u0041` + "\n.", `'\\\\u0041'`},
	{"BINUNICODE", "X\x02\x00\x00\x00\xc3\xa9.", "'é'"},
	{"BINUNICODE lone surrogate", "X\x03\x00\x00\x00\xed\xa0\x80.", `'\ud800'`},
	{"BINUNICODE longer than the rest", "X\xff\x00\x00\x00ab.", "E_PICKLE 0"},
	{"BINUNICODE over the limit", "X\xff\xff\xff\xffab.", "E_LIMIT 0"},
	{"SHORT_BINUNICODE", "\x80\x04\x8c\x01a.", "'a'"},
	{"BINUNICODE8", "\x80\x04\x8d\x01\x00\x00\x00\x00\x00\x00\x00a.", "'a'"},
	{"BINUNICODE8 huge", "\x80\x04\x8d\x00\x00\x00\x00\x00\x00\x00\x40a.", "E_LIMIT 2"},
	{"BINBYTES", "\x80\x03B\x02\x00\x00\x00a\xff.", `b'a\xff'`},
	{"SHORT_BINBYTES", "\x80\x03C\x01'.", `b"'"`},
	{"BINBYTES8 huge", "\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.", "E_PICKLE 2"},
	{"BYTEARRAY8", "\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00a.", "bytearray(b'a')"},
	{"READONLY_BUFFER", "\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00a\x98.", "bytearray(b'a')"},
	{"READONLY_BUFFER on a list", "\x80\x05]\x98.", "E_PICKLE 3"},
	{"NEXT_BUFFER", "\x80\x05\x97.", "E_PICKLE 2"},
	{"_codecs.encode", "\x80\x02c_codecs\nencode\nX\x02\x00\x00\x00\xc3\xa9X\x06\x00\x00\x00latin1\x86R.", `b'\xe9'`},
	// containers
	{"EMPTY_TUPLE", ").", "()"},
	{"TUPLE", "(K\x01K\x02t.", "(1, 2)"},
	{"TUPLE1", "\x80\x02K\x01\x85.", "(1,)"},
	{"TUPLE2", "\x80\x02K\x01K\x02\x86.", "(1, 2)"},
	{"TUPLE3", "\x80\x02K\x01K\x02K\x03\x87.", "(1, 2, 3)"},
	{"TUPLE3 underflow", "\x80\x02K\x01K\x02\x87.", "E_PICKLE 6"},
	{"TUPLE2 across a mark", "\x80\x02K\x01(K\x02\x86.", "E_PICKLE 7"},
	{"LIST", "(K\x01l.", "[1]"},
	{"APPEND", "]K\x01a.", "[1]"},
	{"APPENDS", "](K\x01K\x02e.", "[1, 2]"},
	{"APPENDS of nothing", "](e.", "[]"},
	{"APPEND to a dict", "}K\x01a.", "E_PICKLE 3"},
	{"APPEND to a tuple", ")K\x01a.", "E_PICKLE 3"},
	{"APPEND to an OrderedDict", "ccollections\nOrderedDict\n)RK\x01a.", "E_PICKLE 29"},
	{"DICT", "(K\x01K\x02d.", "{1: 2}"},
	{"DICT odd", "(K\x01d.", "E_PICKLE 3"},
	{"SETITEM", "}K\x01K\x02s.", "{1: 2}"},
	{"SETITEMS", "}(K\x01K\x02K\x03K\x04u.", "{1: 2, 3: 4}"},
	{"SETITEMS of nothing", "}(u.", "{}"},
	{"SETITEMS odd", "}(K\x01u.", "E_PICKLE 4"},
	{"SETITEM on a list", "]K\x01K\x02s.", "E_PICKLE 5"},
	{"SETITEM with a list as key", "}]K\x02s.", "E_PICKLE 4"},
	{"EMPTY_SET ADDITEMS", "\x80\x04\x8f(K\x01K\x02K\x01\x90.", "{1, 2}"},
	{"FROZENSET", "\x80\x04(K\x01\x91.", "frozenset({1})"},
	{"FROZENSET as key", "\x80\x04}(K\x01\x91K\x02s.", "{frozenset({1}): 2}"},
	{"ADDITEMS on a list", "\x80\x04](K\x01\x90.", "E_PICKLE 6"},
	{"ADDITEMS of a dict", "\x80\x04\x8f(}\x90.", "E_PICKLE 5"},
	{"set called", "\x80\x02c__builtin__\nset\n](K\x01K\x02e\x85R.", "{1, 2}"},
	{"set called with a list in it", "\x80\x02c__builtin__\nset\n](]e\x85R.", "E_PICKLE -1"},
	{"bytearray as key", "\x80\x05}\x96\x01\x00\x00\x00\x00\x00\x00\x00aNs.", "E_PICKLE -1"},
	{"tuple with a list as key", "\x80\x02}]\x85Ns.", "E_PICKLE -1"},
	{"True and 1 and 1.0 collide", "\x80\x02}(\x88K\x01K\x01K\x02G?\xf0\x00\x00\x00\x00\x00\x00K\x03u.", "{True: 3}"},
	{"1 and 1L collide", "\x80\x02}(K\x01N\x8a\x01\x01\x88u.", "{1: True}"},
	{"equal tuples collide", "\x80\x02}(K\x01K\x02\x86NG?\xf0\x00\x00\x00\x00\x00\x00K\x02\x86\x88u.", "{(1, 2): True}"},
	{"NaN does not collide", "\x80\x02}(G\x7f\xf8\x00\x00\x00\x00\x00\x00NG\x7f\xf8\x00\x00\x00\x00\x00\x00Nu.", "{nan: None, nan: None}"},
	{"0 and -0.0 collide", "\x80\x02}(K\x00NG\x80\x00\x00\x00\x00\x00\x00\x00\x88u.", "{0: True}"},
	{"bytes and str do not collide", "\x80\x03}(C\x01aNU\x01aNu.", "{b'a': None, 'a': None}"},
	// stack and memo
	{"POP", "NK\x010.", "None"},
	{"POP of a mark", "N(0.", "None"},
	{"POP underflow", "0.", "E_PICKLE 0"},
	{"POP_MARK", "N(K\x01K\x021.", "None"},
	{"POP_MARK without a mark", "N1.", "E_PICKLE 1"},
	{"DUP", "\x80\x02]2\x86.", "([], [])"},
	{"DUP underflow", "2.", "E_PICKLE 0"},
	{"PUT and GET", "K\x01p10\n0g10\n.", "1"},
	{"PUT negative", "K\x01p-1\n.", "E_PICKLE 2"},
	{"PUT of nothing", "q\x00.", "E_PICKLE 0"},
	{"BINPUT and BINGET", "K\x01q\x050h\x05.", "1"},
	{"LONG_BINPUT at the end of the range", "K\x01r\xff\xff\xff\xff0j\xff\xff\xff\xff.", "1"},
	{"PUT twice", "K\x01q\x000K\x02q\x000h\x00.", "2"},
	{"GET between two PUTs", "](K\x01q\x00h\x000K\x02q\x00h\x00e.", "[1, 2, 2]"},
	{"MEMOIZE", "\x80\x04K\x01\x94K\x02\x940h\x00\x86.", "(1, 1)"},
	{"MEMOIZE after PUT", "\x80\x04K\x01q\x07K\x02\x940h\x01\x86.", "(1, 2)"},
	{"GET unset", "h\x00.", "E_PICKLE 0"},
	{"MARK left open", "(N.", "None"},
	{"STOP on a mark", "N(.", "E_PICKLE 2"},
	{"STOP on nothing", ".", "E_PICKLE 0"},
	{"no STOP", "N", "E_TRUNCATED 1"},
	{"empty", "", "E_TRUNCATED 0"},
	{"cut inside an opcode", "J\x00\x00", "E_TRUNCATED 0"},
	{"cut inside a line", "I12", "E_TRUNCATED 0"},
	// frames
	{"FRAME", "\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", "None"},
	{"FRAME then none", "\x80\x04\x95\x01\x00\x00\x00\x00\x00\x00\x00N.", "None"},
	{"FRAME of nothing", "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00N.", "None"},
	{"FRAME past the end", "\x80\x04\x95\x09\x00\x00\x00\x00\x00\x00\x00N.", "E_PICKLE 2"},
	{"opcode across its frame", "\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00M\x00\x00.", "E_PICKLE 11"},
	{"FRAME in a frame", "\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00N\x95\x01\x00\x00\x00\x00\x00\x00\x00N0.", "E_PICKLE 12"},
	{"PROTO 6", "\x80\x06N.", "E_PICKLE 0"},
	// globals and calls
	{"GLOBAL", "cos\nsystem\n.", "<class 'os.system'>"},
	{"GLOBAL of one line", "cos\n.", "E_TRUNCATED 0"},
	{"GLOBAL without newline", "c" + strings.Repeat("A", 5000), "E_LIMIT 0"},
	{"STACK_GLOBAL", "\x80\x04\x8c\x02os\x8c\x06system\x93.", "<class 'os.system'>"},
	{"STACK_GLOBAL on a number", "\x80\x04\x8c\x02osK\x01\x93.", "E_PICKLE 8"},
	{"STACK_GLOBAL on a made string", "\x80\x04ca\nb\n)R\x8c\x01x\x93.", "E_PICKLE 12"},
	{"EXT1", "\x80\x02\x82\x05.", "<class 'copyreg._inverted_registry[5]'>"},
	{"EXT2", "\x80\x02\x83\x05\x01.", "<class 'copyreg._inverted_registry[261]'>"},
	{"EXT4", "\x80\x02\x84\x05\x00\x00\x01.", "<class 'copyreg._inverted_registry[16777221]'>"},
	{"EXT1 of 0", "\x80\x02\x82\x00.", "E_PICKLE 2"},
	{"REDUCE", "cos\nsystem\n(U\x02lstR.", "<os.system>"},
	{"REDUCE of a list", "])R.", "E_PICKLE 2"},
	{"REDUCE with a list", "cos\nsystem\n]R.", "E_PICKLE 12"},
	{"REDUCE of a result", "ca\nb\n)R)R.", "<a.b()>"},
	{"REDUCE of an OrderedDict", "ccollections\nOrderedDict\n)R)R.", "E_PICKLE 28"},
	{"NEWOBJ", "\x80\x02ca\nB\n)\x81.", "<a.B>"},
	{"NEWOBJ of a string", "\x80\x02U\x01a)\x81.", "E_PICKLE 6"},
	{"NEWOBJ_EX", "\x80\x04ca\nB\n)}\x92.", "<a.B>"},
	{"NEWOBJ_EX without a dict", "\x80\x04ca\nB\n)]\x92.", "E_PICKLE 9"},
	{"INST", "(K\x01ia\nB\n.", "<a.B>"},
	{"INST without a mark", "ia\nB\n.", "E_PICKLE 0"},
	{"OBJ", "(ca\nB\nK\x01o.", "<a.B>"},
	{"OBJ without a class", "(o.", "E_PICKLE 1"},
	{"OBJ of a list", "(]o.", "E_PICKLE 2"},
	{"BUILD", "ca\nB\n)R}b.", "<a.B>"},
	{"BUILD on a list", "]}b.", "E_PICKLE 2"},
	{"BUILD on a class", "ca\nB\n}b.", "E_PICKLE 6"},
	{"BUILD on bytes", "\x80\x02c__builtin__\nbytes\n)R}b.", "E_PICKLE 24"},
	{"SETITEM and APPEND on a foreign object", "ca\nB\n)RK\x01K\x02sK\x03a.", "<a.B>"},
	{"PERSID", "Pabc\n.", "<.persistent_load>"},
	{"BINPERSID underflow", "Q.", "E_PICKLE 0"},
	{"OrderedDict of pairs", "ccollections\nOrderedDict\n](](K\x01K\x02ee\x85R.", "OrderedDict({1: 2})"},
	{"OrderedDict of a dict", "ccollections\nOrderedDict\n}K\x01K\x02s\x85R.", "OrderedDict({1: 2})"},
	{"OrderedDict by NEWOBJ", "\x80\x02ccollections\nOrderedDict\n)\x81K\x01K\x02s.", "OrderedDict({1: 2})"},
	{"defaultdict", "ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RK\x01K\x02s.", "defaultdict({1: 2})"},
	{"Counter", "ccollections\nCounter\n}K\x01K\x02s\x85R.", "Counter({1: 2})"},
	{"complex", "c__builtin__\ncomplex\nG?\xf0\x00\x00\x00\x00\x00\x00G\xc0\x00\x00\x00\x00\x00\x00\x00\x86R.", "(1-2j)"},
	{"torch.Size", "ctorch\nSize\nK\x02K\x03\x86\x85R.", "torch.Size([2, 3])"},
	{"torch.device", "ctorch\ndevice\nU\x04cudaK\x01\x86R.", "device(type='cuda', index=1)"},
	{"dtype", "ctorch\nbfloat16\n.", "torch.bfloat16"},
	{"_reconstructor", "ccopy_reg\n_reconstructor\n(ca\nB\nc__builtin__\nobject\nNtR.", "<a.B>"},
	{"a member of an enum", "c__builtin__\ngetattr\nca\nColour\nU\x03RED\x86R.", "Colour.RED"},
	{"the same of Python 3", "\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x01a\x8c\x06Colour\x93\x8c\x03RED\x86R.", "Colour.RED"},
	{"getattr of an object", "c__builtin__\ngetattr\nca\nB\n)RU\x03RED\x86R.", "<getattr>"},
	{"a builtin class", "c__builtin__\nlong\n.", "<class 'int'>"},
	{"the same class of Python 3", "\x80\x04\x8c\x08builtins\x8c\x03int\x93.", "<class 'int'>"},
	{"list in itself", "]q\x00h\x00a.", ""},
}

func TestOpcodes(t *testing.T) {
	for _, c := range opcodeCases {
		p, err := Load([]byte(c.stream), nil)
		if code, at, ok := strings.Cut(c.want, " "); ok && strings.HasPrefix(code, "E_") {
			e, _ := err.(*Error)
			if e == nil || e.Code != code || PyStr(e.Offset) != at {
				t.Errorf("%s: error %v, want %s", c.name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if p.Len != len(c.stream) {
			t.Errorf("%s: %d bytes consumed of %d", c.name, p.Len, len(c.stream))
		}
		if got := PyRepr(p.Root); c.want != "" && got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Each of the 256 bytes is an opcode or an error, at the start and after some values.
func TestEveryByteIsHandled(t *testing.T) {
	for b := range 256 {
		for _, before := range []string{"", "\x80\x04", "]}(NK\x01", "ca\nb\n(N"} {
			for _, after := range []string{"", ".", "\x00\x00\x00\x00\x00\x00\x00\x00.", "\n\n."} {
				_, err := Load([]byte(before+string([]byte{byte(b)})+after), nil)
				if e, ok := err.(*Error); err != nil && !ok || ok && strings.Contains(e.Msg, "gave up") {
					t.Errorf("byte %02x between %q and %q: %v", b, before, after, err)
				}
			}
		}
	}
}

func TestIdentityIsKept(t *testing.T) {
	load := func(s string) Value {
		p, err := Load([]byte(s), nil)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		return p.Root
	}
	l := load("](]q\x00h\x00]e.").(*List)
	if l.Items[0] != l.Items[1] || l.Items[0] == l.Items[2] {
		t.Error("lists: want the first two to be one")
	}
	self := load("]q\x00h\x00a.").(*List)
	if self.Items[0] != Value(self) {
		t.Error("a list that contains itself does not")
	}
	d := load("}q\x00U\x01ah\x00s.").(*Dict)
	if d.Items[0].Value != Value(d) {
		t.Error("a dict that contains itself does not")
	}
	s := load("](U\x02abq\x00h\x00U\x02abe.").(*List)
	a, b, c := s.Items[0].(string), s.Items[1].(string), s.Items[2].(string)
	if identity(a) != identity(b) || identity(a) == identity(c) {
		t.Error("strings: want a memo reference to be the same and a second text not to be")
	}
	tu := load("](K\x01K\x02\x86q\x00h\x00K\x01K\x02\x86e.").(*List)
	if tu.Items[0] != tu.Items[1] || tu.Items[0] == tu.Items[2] {
		t.Error("tuples: want the first two to be one")
	}
	by := load("\x80\x03](C\x02abq\x00h\x00C\x02abe.").(*List)
	if by.Items[0] != by.Items[1] || by.Items[0] == by.Items[2] {
		t.Error("bytes: want the first two to be one")
	}
}

func TestScanReportsWhatItSawBeforeAnError(t *testing.T) {
	r, err := Scan([]byte("\x80\x02cposix\nsystem\n0(U\x01aios\nremove\n\x82\x07\xff"), nil)
	if err == nil {
		t.Fatal("no error")
	}
	var names []string
	for _, g := range r.Globals {
		names = append(names, g.String())
	}
	want := []string{"posix.system", "os.remove", "copyreg._inverted_registry[7]"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("globals %v, want %v", names, want)
	}
	if r.Globals[0].Offset != 2 || r.Globals[1].Offset != 21 {
		t.Errorf("offsets %d and %d, want 2 and 21", r.Globals[0].Offset, r.Globals[1].Offset)
	}
	if r.Len != 34 {
		t.Errorf("%d bytes before the error, want 34", r.Len)
	}
}

func TestFloatsPrintAsInPython(t *testing.T) {
	for f, want := range map[float64]string{0: "0.0", 1: "1.0", 0.1: "0.1", 1e15: "1000000000000000.0", 1e16: "1e+16", 123456789012345680: "1.2345678901234568e+17",
		0.0001: "0.0001", 0.00001: "1e-05", 5e-324: "5e-324", math.Inf(-1): "-inf", 1.5e300: "1.5e+300", -2.5: "-2.5", math.Copysign(0, -1): "-0.0"} {
		if got := PyStr(f); got != want && !(f == 0 && strings.TrimPrefix(got, "-") == "0.0") {
			t.Errorf("%v prints as %s, want %s", f, got, want)
		}
	}
}
