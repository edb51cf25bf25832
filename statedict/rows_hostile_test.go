package statedict_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// Rows 52, 57, 58, 59 and 70: files that want to harm, and files of other programs. All of them are made by hand.

func TestRow52ViewsPastTheStorage(t *testing.T) {
	cp, _ := torchRow(t, "bad_views.pt")
	for key, why := range map[string]string{
		"size": "28 bytes needed, its storage has 24", "offset": "28 bytes needed, its storage has 24", "stride": "28 bytes needed, its storage has 24",
		"product": "its element count overflows", "span": "bytes needed, its storage has 24",
		"negative stride": "negative or overflowing", "negative size": "its element count overflows or is negative", "negative offset": "negative or overflowing",
	} {
		if e := entry(t, cp, key); e.Info == nil || !strings.Contains(e.Info.Bad, why) {
			t.Errorf("%s: %+v, want %q", key, e.Info, why)
		}
		found(t, key, cp, "F_TENSOR_BAD", key+": ")
	}
	want(t, "the good one", values(t, cp, "good"), "[0 1 2 3 4 5]")
	bad := []string{"size", "offset", "stride", "product", "span", "negative stride", "negative size", "negative offset"}
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy, statedict.Safetensors, statedict.NPZ, statedict.GGUF} {
		refused(t, edited(t, cp), f, bad...)
	}
	_, back := exports(t, apply(t, cp, `{keep: good}`), statedict.Safetensors)
	want(t, "without the others", len(back.Entries), 1)
}

// u32 and u64 are little-endian numbers in a pickle.
func u32(n uint32) string { return string(binary.LittleEndian.AppendUint32(nil, n)) }
func u64(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }

func TestRow57HostilePickles(t *testing.T) {
	const head = "\x80\x02"
	for _, c := range []struct{ what, pickle, code, text string }{
		{"an opcode that is none", head + "\xff.", "E_PICKLE", "(byte 2)"},
		{"a long of 256 KiB", head + "\x8b" + u32(256<<10) + strings.Repeat("\x01", 256<<10) + ".", "E_LIMIT", "(byte 2)"},
		{"a negative length", head + "\x8b" + u32(1<<31) + ".", "E_PICKLE", "(byte 2)"},
		{"an odd number of items", head + "}(K\x01u.", "E_PICKLE", "(byte 6)"},
		{"an odd number of items in DICT", head + "(K\x01d.", "E_PICKLE", "(byte 5)"},
		{"four gigabytes of text", head + "X" + u32(1<<32-1) + "ab.", "E_LIMIT", "(byte 2)"},
		{"four gigabytes of bytes", head + "B" + u32(1<<32-1) + "ab.", "E_PICKLE", "(byte 2)"},
		{"a length of eight bytes", head + "\x8e" + u64(1<<62) + "ab.", "E_PICKLE", "(byte 2)"},
		{"a frame past the end", "\x80\x04\x95" + u64(1<<40) + "N.", "E_LIMIT", "(byte 2)"},
		{"a memo entry that was never put", head + "h\x07.", "E_PICKLE", "(byte 2)"},
		{"marks only", head + strings.Repeat("(", 1<<20) + ".", "E_LIMIT", "(byte "},
		{"dicts only", head + "(" + strings.Repeat("}", 1<<20) + "t.", "E_LIMIT", "(byte "},
		{"nothing on the stack", head + "R.", "E_PICKLE", "(byte 2)"},
		{"no end", head + "N", "E_TRUNCATED", "(byte "},
	} {
		file := pickled(t, c.pickle)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		cp, err := openBytes("m.pt", file)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		switch {
		case err == nil:
			t.Errorf("%s: opens with %v", c.what, cp.Findings)
		case statedict.Code(err) != c.code || !strings.Contains(err.Error(), c.text):
			t.Errorf("%s: %s: %v, want %s %s", c.what, statedict.Code(err), err, c.code, c.text)
		}
		if got := after.TotalAlloc - before.TotalAlloc; took > 10*time.Second || got > 256<<20 {
			t.Errorf("%s: %v, %d MiB", c.what, took, got>>20)
		}
	}
	// An extension code stands for a name that only its writer knows.
	found(t, "an extension", mustOpen(t, pickled(t, head+"\x82\x01.")), "F_GLOBAL", "copyreg._inverted_registry[1], which is outside the safe list")
	// What looks like a fault and is none: a long of no bytes is 0, keys of bytes are keys, in sets as well.
	for what, pickle := range map[string]string{
		"a long of no bytes": head + "}X\x01\x00\x00\x00a\x8a\x00s.", "bytes as a key": "\x80\x03}C\x01aNs.",
		"bytes in a set": "\x80\x04\x8f(C\x01a\x90.", "bytes as a key of an OrderedDict": "\x80\x03ccollections\nOrderedDict\n)RC\x01aNs.",
	} {
		if _, err := openBytes("m.pt", pickled(t, pickle)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestRow58SharedAndCyclic(t *testing.T) {
	var b strings.Builder
	b.WriteString("\x80\x02]q\x00Na")
	for i := range 60 { // each list holds the one before ten times
		fmt.Fprintf(&b, "]q%c(%se", i+1, strings.Repeat(fmt.Sprintf("h%c", i), 10))
	}
	b.WriteString(".")
	laughs := b.String()
	for what, c := range map[string]struct{ pickle, code string }{
		"a list in itself":         {"\x80\x02]q\x00h\x00a.", "F_CYCLE"},
		"a dict in itself":         {"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.", "F_CYCLE"},
		"two that hold each other": {"\x80\x02]q\x00]q\x01h\x00ah\x01a.", "F_CYCLE"},
		"ten to the sixtieth":      {laughs, "F_SHARED"},
	} {
		cp, err := openBytes("m.pt", pickled(t, c.pickle))
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		found(t, what, cp, c.code, "")
		rows := 0
		for range cp.Objects() {
			rows++
		}
		if rows == 0 || rows > 1000 {
			t.Errorf("%s: %d rows", what, rows)
		}
		_, back := exports(t, edited(t, cp), statedict.TorchZip) // as the graph that it is
		found(t, what+", written", back, c.code, "")
	}
}

func TestRow59NothingRuns(t *testing.T) {
	file := pickled(t, "\x80\x02}X\x01\x00\x00\x00acposix\nsystem\nX\x09\x00\x00\x00touch ran\x85Rs.")
	cp := mustOpen(t, file)
	found(t, "the name", cp, "F_GLOBAL", "posix.system, which is outside the safe list (unsafe); it was not imported")
	want(t, "the call", rowObject(t, cp, "a").Type, "posix.system")
	want(t, "verdict", cp.Globals[0].Verdict(), "unsafe")
	_, err := statedict.NewPlan(cp, statedict.TorchZip, nil)
	want(t, "written on", statedict.Code(err), "E_UNSAFE")
	scan, err := statedict.Scan(context.Background(), *cp.Sources[0])
	if err != nil || scan.Safe() || !slices.ContainsFunc(scan.Globals, func(g statedict.ScannedGlobal) bool { return g.Called && g.Name == "system" }) {
		t.Errorf("scan: %+v, %v", scan, err)
	}
}

func TestRow70OtherFormats(t *testing.T) {
	archive := func(names ...string) []byte {
		var records []zipRecord
		for _, name := range names {
			records = append(records, zipRecord{name: name, body: []byte("pt2")})
		}
		return makeZip(t, records...)
	}
	for _, c := range []struct {
		what string
		data []byte
		text string
	}{
		{"pt2", archive("m/archive_format", "m/models/model.json", "m/version"), "torch.export package (pt2)"},
		{"torch.export before 2.8", archive("serialized_exported_program.json", "serialized_state_dict.pt", "version"), "torch.export archive"},
		{"torch.package", archive("p/.data/extern_modules", "p/models/model.pkl", "p/.data/version"), "torch.package"},
		{"TorchScript of 1.0", archive("m/model.json", "m/tensors/0", "m/version"), "model.json"},
		{"a zip of files", archive("a/model.safetensors", "a/readme.txt"), "a/model.safetensors"},
		{"ExecuTorch program", append([]byte("\x1c\x00\x00\x00ET12"), make([]byte, 100)...), ".pte"},
		{"ExecuTorch data", append([]byte("\x1c\x00\x00\x00FT01"), make([]byte, 100)...), ".ptd"},
		{"preview container", append([]byte("PYTORCH1"), make([]byte, 100)...), "PYTORCH1"},
	} {
		fails(t, c.what, c.data, "E_FORMAT", c.text)
	}
}
