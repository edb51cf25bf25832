package pickle

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// corpus returns the folder of the test corpus, or skips.
func corpus(t testing.TB) string {
	dir := os.Getenv("WEIGHTROOM_CORPUS")
	if dir == "" {
		t.Skip("WEIGHTROOM_CORPUS is not set")
	}
	return dir
}

// sample is one pickle of the corpus.
type sample struct {
	name   string
	data   []byte
	legacy bool // the object pickle of a legacy stream
	bare   bool // neither
}

// samples reads every data.pkl and constants.pkl of zips, the object pickles of legacy files and bare pickles below dir.
func samples(t testing.TB, dir string) []sample {
	var out []sample
	err := filepath.Walk(dir, func(file string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || strings.Contains(file, ".oracle.json") {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, file)
		out = append(out, samplesOf(name, data)...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func samplesOf(name string, data []byte) []sample {
	if bytes.HasPrefix(data, []byte("PK")) {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil
		}
		var out []sample
		for _, f := range z.File {
			if b := path.Base(f.Name); b != "data.pkl" && b != "constants.pkl" || f.UncompressedSize64 > 128<<20 {
				continue
			}
			r, err := f.Open()
			if err != nil {
				continue
			}
			p, err := io.ReadAll(r)
			if err != nil {
				continue
			}
			out = append(out, sample{name: name + ":" + path.Base(f.Name), data: p})
		}
		return out
	}
	if rest, ok := legacyObject(data); ok {
		return []sample{{name: name, data: rest, legacy: true}}
	}
	if len(data) > 2 && (data[0] == 0x80 && data[1] < 6 || data[0] == '(' || data[0] == 'c' || data[0] == '}') && !bytes.Contains(data[:min(len(data), 64)], []byte("ustar")) {
		return []sample{{name: name, data: data, bare: true}}
	}
	return nil
}

// legacyObject skips the three leading pickles of a legacy stream.
func legacyObject(data []byte) ([]byte, bool) {
	magic := binary.LittleEndian.AppendUint64(nil, 0xA86A20F9469CFC6C)
	if !bytes.Contains(data[:min(len(data), 40)], magic[:7]) {
		return nil, false
	}
	rest := data
	for range 3 {
		r, err := Scan(rest, nil)
		if err != nil {
			return nil, false
		}
		rest = rest[r.Len:]
	}
	r, err := Scan(rest, nil)
	if err != nil {
		return rest, true
	}
	return rest[:r.Len], true
}

func TestCorpusLoads(t *testing.T) {
	n := 0
	for _, s := range samples(t, corpus(t)) {
		if strings.HasPrefix(s.name, "hostile/") || strings.HasPrefix(s.name, "broken/") || strings.HasSuffix(s.name, ".safetensors") {
			continue
		}
		n++
		p, err := Load(s.data, nil)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		for _, f := range p.Findings {
			t.Logf("%s: %s %s", s.name, f.Code, f.Message)
		}
	}
	t.Logf("%d pickles", n)
	if n < 100 {
		t.Errorf("only %d pickles in the corpus", n)
	}
}

// flat makes the pickle of a state dict of n tensors, as torch.save writes it.
func flat(n int) []byte {
	var b bytes.Buffer
	memo := 0
	put := func() {
		if memo < 256 {
			b.Write([]byte{opBinPut, byte(memo)})
		} else {
			b.WriteByte(opLongBinPut)
			b.Write(binary.LittleEndian.AppendUint32(nil, uint32(memo)))
		}
		memo++
	}
	str := func(s string) {
		b.WriteByte(opBinUnicode)
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(s))))
		b.WriteString(s)
		put()
	}
	num := func(v int) { b.Write(appendInt(nil, int32(v))) }
	b.WriteString("\x80\x02ccollections\nOrderedDict\n")
	put()
	b.WriteString(")R")
	put()
	var storage, class, cpu, rebuild []byte
	ref := func(to *[]byte, make func()) {
		if *to != nil {
			b.Write(*to)
			return
		}
		make()
		if m := memo - 1; m < 256 {
			*to = []byte{opBinGet, byte(m)}
		}
	}
	for i := range n {
		if i%1000 == 0 {
			b.WriteByte('(')
		}
		str(fmt.Sprintf("model.layers.%d.self_attn.q_proj.weight", i))
		ref(&rebuild, func() { b.WriteString("ctorch._utils\n_rebuild_tensor_v2\n"); put() })
		b.WriteString("((")
		ref(&storage, func() { str("storage") })
		ref(&class, func() { b.WriteString("ctorch\nFloatStorage\n"); put() })
		str(fmt.Sprint(i))
		ref(&cpu, func() { str("cpu") })
		num(1024 * 1024)
		b.WriteString("t")
		put()
		b.WriteString("QK\x00")
		num(1024)
		num(1024)
		b.WriteString("\x86")
		put()
		num(1024)
		num(1)
		b.WriteString("\x86")
		put()
		b.WriteString("\x89h\x00)R")
		put()
		b.WriteString("t")
		put()
		b.WriteString("R")
		put()
		if i%1000 == 999 || i == n-1 {
			b.WriteByte('u')
		}
	}
	b.WriteByte('.')
	return b.Bytes()
}

func BenchmarkScan100k(b *testing.B) {
	p := flat(100_000)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if _, err := Scan(p, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad100k(b *testing.B) {
	p := flat(100_000)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		if _, err := Load(p, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// Live memory of a big state dict: the tree alone, nothing of the VM.
func TestLiveMemoryPerTensor(t *testing.T) {
	const n = 100_000
	p := flat(n)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pk, err := Load(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := len(pk.Root.(*Dict).Items); got != n {
		t.Errorf("%d items, want %d", got, n)
	}
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes per tensor, pickle %d bytes", each, len(p))
	if each > 400 {
		t.Errorf("%d bytes live per tensor, at most 400 are meant", each)
	}
	runtime.KeepAlive(pk)
	runtime.KeepAlive(p)
}
