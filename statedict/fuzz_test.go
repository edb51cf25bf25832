package statedict_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weightroom/weightroom/statedict"
)

// codes are all that Open may fail with on bytes that do not change.
var codes = map[string]bool{"E_FORMAT": true, "E_TRUNCATED": true, "E_PICKLE": true, "E_LIMIT": true, "E_ZIP": true, "E_AMBIGUOUS": true,
	"E_ENCRYPTED": true, "E_METHOD": true, "E_HEADER": true, "E_LAYOUT": true, "E_CHECKSUM": true, "E_UNSUPPORTED": true}

// small are the limits of the fuzz targets: an input of 64 KiB needs no more.
var small = statedict.Options{PickleBytes: 1 << 20, HeaderBytes: 1 << 20, Records: 1 << 12}

// mostWritten bounds what an accepted file is written out as; a view can stand for more bytes than there are.
const mostWritten = 1 << 20

// reread holds an opened file to its word: what it lists can be read or fails with a code, and written as a torch file it is read
// back equal. It answers whether that could be tried.
func reread(t testing.TB, cp *statedict.Checkpoint) bool {
	t.Helper()
	readable := true
	for i := range cp.Entries {
		e := &cp.Entries[i]
		n, err := io.Copy(io.Discard, io.LimitReader(cp.Reader(e.View), mostWritten))
		switch {
		case err != nil && !codes[statedict.Code(err)]:
			t.Fatalf("%q: reading it fails with %s: %v", e.Path(), statedict.Code(err), err)
		case err != nil || e.NBytes() > mostWritten:
			readable = false // or it would take all day
		case e.DType != 0 && n != min(e.NBytes(), mostWritten):
			t.Fatalf("%q: %d bytes, %d declared", e.Path(), n, e.NBytes())
		}
	}
	p, err := statedict.NewPlan(edited(t, cp), statedict.TorchZip, &statedict.PlanOptions{AllowUnsafe: true})
	if err != nil {
		if c := statedict.Code(err); c == "E_FAILED" {
			t.Fatalf("laying it out fails without a code: %v", err)
		}
		return false
	}
	if !readable || p.Files[0].Size > mostWritten {
		return false
	}
	var b bytes.Buffer
	if err := p.Files[0].Write(context.Background(), &b, nil); err != nil {
		if !codes[statedict.Code(err)] {
			t.Fatalf("writing it: %v", err)
		}
		return false
	}
	out := statedict.Source{Name: "out", R: bytes.NewReader(b.Bytes()), Size: int64(b.Len())}
	if err := statedict.Verify(context.Background(), p, out); err != nil {
		t.Fatal(err)
	}
	back, err := statedict.Open(context.Background(), out)
	if err != nil {
		t.Fatal(err)
	}
	compareTensors(t, statedict.TorchZip, cp, back, true)
	return true
}

// openAny opens bytes; an error must have a code.
func openAny(t testing.TB, data []byte) *statedict.Checkpoint {
	t.Helper()
	src := statedict.Source{Name: "any", R: bytes.NewReader(data), Size: int64(len(data))}
	cp, err := small.Open(context.Background(), src)
	if err != nil {
		if !codes[statedict.Code(err)] {
			t.Fatalf("%s: %v", statedict.Code(err), err)
		}
		return nil
	}
	return cp
}

// fixtures are the files below testdata of at most limit bytes.
func fixtures(t testing.TB, limit int64) (files []string) {
	t.Helper()
	for _, dir := range []string{"../testdata", "../testdata/broken", "../testdata/hostile"} {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			info, err := e.Info()
			if err == nil && info.Mode().IsRegular() && info.Size() <= limit && !strings.HasSuffix(e.Name(), ".json") && !strings.HasSuffix(e.Name(), ".py") {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
	}
	return files
}

// FuzzOpen: any input ends in an error with a code or in a checkpoint whose tensors read back equal; scanning it does not fail
// otherwise. Zip, legacy, tar, bare pickles, safetensors, GGUF, npy and npz all go through here.
func FuzzOpen(f *testing.F) {
	for _, file := range fixtures(f, 8<<10) {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		defer time.AfterFunc(20*time.Second, func() { panic("an input of 64 KiB takes more than 20 seconds") }).Stop()
		if cp := openAny(t, data); cp != nil {
			for range cp.Objects() {
			}
			reread(t, cp)
		}
		r, err := small.Scan(context.Background(), statedict.Source{Name: "any", R: bytes.NewReader(data), Size: int64(len(data))})
		if err != nil && !codes[statedict.Code(err)] {
			t.Fatalf("scan: %s: %v", statedict.Code(err), err)
		}
		if err == nil {
			r.Safe()
		}
	})
}

var roundTripFormats = []statedict.Format{statedict.TorchZip, statedict.TorchLegacy, statedict.Safetensors, statedict.NPZ}

// FuzzRoundTrip: a recipe, on one of a few checkpoints, ends in an error with a code or in a plan; the plan is written, verified,
// opened, and has the tensors of the edited checkpoint.
func FuzzRoundTrip(f *testing.F) {
	var bases []*statedict.Checkpoint
	for _, name := range []string{"dataparallel_sgd.pth", "tied_strided_views.pth", "keys_odd.pth", "canonical.safetensors"} {
		data, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		bases = append(bases, openAny(f, data))
	}
	for i, doc := range []string{
		"steps: [{strip_prefix: module.}]", "steps: [{keep: \"**.weight\"}, {add_prefix: {prefix: net., match: \"**\"}}]",
		"steps: [{cast: {to: float16}}]", "steps: [{unshare: \"**\"}, {compact: true}]", "steps: [{rename: {from: 're:^(.*)w', to: '$1v'}}]",
		"steps: [{drop_objects: [optimizer, epoch]}, {set_metadata: {format: pt}}]", "at: state_dict\nsteps: [{set_device: cpu}, {set_requires_grad: false}]",
		"steps: [{cast: {to: bfloat16, match: \"*\", except: \"*.b*\", integers: true}, optional: true}]", "steps: []",
	} {
		f.Add(uint8(i), []byte(doc))
		f.Add(uint8(i+5), []byte(doc))
	}
	f.Fuzz(func(t *testing.T, which uint8, doc []byte) {
		r, err := statedict.ParseRecipe(doc)
		if err != nil {
			return
		}
		base := bases[int(which)%len(bases)]
		cp, _, err := r.Apply(base, nil)
		if err != nil {
			return
		}
		format := roundTripFormats[int(which)/len(bases)%len(roundTripFormats)]
		_, back, err := export(t, cp, format, &statedict.PlanOptions{AllowUnsafe: true})
		if err != nil {
			if statedict.Code(err) == "E_FAILED" {
				t.Fatalf("no code: %v", err)
			}
			return
		}
		compareTensors(t, format, cp, back, format == statedict.TorchZip || format == statedict.TorchLegacy)
	})
}

// FuzzExportNames: whatever the keys are, the members of an npz are distinct names of files in its folder, on any system, and reading
// it gives the keys back.
func FuzzExportNames(f *testing.F) {
	f.Add("a\nb.c\nlayer/0")
	f.Add("../up\n/abs\nC:\\x")
	f.Add("\x1b[2J\n\u202e\nCON\n..")
	f.Add("a\nA\na-2\na/\na_2f\nA_2F\n.a\na.\naux.0.weight\ncom1\n" + strings.Repeat("long/", 100))
	f.Fuzz(func(t *testing.T, list string) {
		var header strings.Builder
		for i, key := range strings.Split(list, "\n") {
			if i > 0 {
				header.WriteByte(',')
			}
			fmt.Fprintf(&header, `%s:{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}`, quoteJSON(key), i, i+1)
		}
		n := strings.Count(list, "\n") + 1
		h := "{" + header.String() + "}"
		data := append([]byte{byte(len(h)), byte(len(h) >> 8), byte(len(h) >> 16), 0, 0, 0, 0, 0}, h...)
		cp := openAny(t, append(data, make([]byte, n)...))
		if cp == nil {
			return
		}
		out, back, err := export(t, cp, statedict.NPZ, nil)
		if err != nil {
			if statedict.Code(err) == "E_FAILED" {
				t.Fatalf("no code: %v", err)
			}
			return
		}
		compareTensors(t, statedict.NPZ, cp, back, false)
		for _, b := range out {
			if why := unsafeMembers(b); why != "" {
				t.Fatal(why)
			}
		}
	})
}

// safeMember are names of files that every system takes as they are.
var safeMember = regexp.MustCompile(`^[A-Za-z0-9_-]([A-Za-z0-9._-]{0,198}[A-Za-z0-9_-])?$`)

// unsafeMembers says what is wrong with the names in an archive.
func unsafeMembers(archive []byte) string {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return err.Error()
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		low := strings.ToLower(f.Name)
		device, _, _ := strings.Cut(low, ".")
		switch {
		case !safeMember.MatchString(f.Name), !filepath.IsLocal(f.Name):
			return fmt.Sprintf("member %q", f.Name)
		case slices.Contains([]string{"con", "prn", "aux", "nul", "com1", "lpt9"}, device):
			return fmt.Sprintf("member %q is a device", f.Name)
		case seen[low]:
			return fmt.Sprintf("two members %q", low)
		}
		seen[low] = true
	}
	return ""
}

func quoteJSON(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r > 0xffff {
			r = 0xfffd
		}
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return b.String() + `"`
}

// TestDamage: every truncation of small files, and every byte of them changed to 00, 7F, 80 and FF: an error with a code, or a
// checkpoint that reads back equal. WEIGHTROOM_DAMAGE=all takes every byte, otherwise a sample is.
func TestDamage(t *testing.T) {
	step, most := 29, int64(4<<10)
	if os.Getenv("WEIGHTROOM_DAMAGE") == "all" {
		step, most = 1, 8<<10
	}
	var inputs, accepted, equal int
	for _, name := range []string{"state_dict.pth", "state_dict_legacy.pth", "tied_strided_views.pth", "module.pth", "keys_not_strings.pth", "protocol4.pth",
		"v3_fp8_unsigned.pth", "rezipped_deflated.pth", "sparse_quantized.pth", "canonical.safetensors", "toy.gguf", "arrays_deflated.npz"} {
		data, err := os.ReadFile("../testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		// The middle of a longer file is padding and elements.
		skip := func(i int) bool {
			return int64(len(data)) > 2*most && int64(i) > most && int64(i) < int64(len(data))-most
		}
		try := func(b []byte) {
			inputs++
			if cp := openAny(t, b); cp != nil {
				accepted++
				if reread(t, cp) {
					equal++
				}
			}
		}
		for i := 0; i < len(data); i += step {
			if skip(i) {
				continue
			}
			try(data[:i])
			for _, v := range []byte{0, 0x7f, 0x80, 0xff} {
				if data[i] != v {
					b := bytes.Clone(data)
					b[i] = v
					try(b)
				}
			}
		}
	}
	t.Logf("%d inputs, %d accepted, %d of them written and read back equal", inputs, accepted, equal)
}
