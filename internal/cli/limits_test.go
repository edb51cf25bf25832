//go:build unix

package cli

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nearLimits are files of the sizes that the limits just let through, or just do not: small to keep, costly to read.
var nearLimits = map[string]func(w *bufio.Writer){
	"distinct-globals.pth": pickleFile(func(w io.Writer) {
		io.WriteString(w, "\x80\x02N")
		for i := range 500_000 {
			fmt.Fprintf(w, "cm%x\nn\n0", i)
		}
	}),
	"long-globals.pth": pickleFile(func(w io.Writer) {
		io.WriteString(w, "\x80\x02(")
		for i := range 9_000 {
			fmt.Fprintf(w, "c%s\n%d\n", strings.Repeat("m", 4000), i)
		}
		io.WriteString(w, "l")
	}),
	"long-integers.pth": pickleFile(func(w io.Writer) {
		one := "\x8b\x00\x04\x00\x00" + strings.Repeat("\x11", 1024)
		io.WriteString(w, "\x80\x02("+strings.Repeat(one, 60_000)+"l")
	}),
	"tensors.pth": pickleFile(func(w io.Writer) {
		io.WriteString(w, "\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00X\x07\x00\x00\x00storageq\x01ctorch\nFloatStorage\nq\x02X\x01\x00\x00\x000q\x03X\x03\x00\x00\x00cpuq\x04}(")
		for i := range 200_000 {
			fmt.Fprintf(w, "X\x06\x00\x00\x00%06dh\x00((h\x01h\x02h\x03h\x04K\x01tQK\x00K\x01\x85K\x01\x85\x89NtR", i)
		}
		io.WriteString(w, "u")
	}),
	"memo.pth":      pickleFile(func(w io.Writer) { io.WriteString(w, "\x80\x04N"+strings.Repeat("\x94", 3_900_000)) }),
	"put-flood.pth": pickleFile(func(w io.Writer) { io.WriteString(w, "\x80\x02N"+strings.Repeat("q\x01", 31_000_000)) }),
	"pickles.pth": func(w *bufio.Writer) {
		z := zip.NewWriter(w)
		record(z, "m/data.pkl", "\x80\x02}.")
		body := []byte("\x80\x02" + strings.Repeat("\x00", 60<<20))
		var packed bytes.Buffer
		d, _ := flate.NewWriter(&packed, flate.BestSpeed)
		d.Write(body)
		d.Close()
		for i := range 40 {
			h := &zip.FileHeader{Name: fmt.Sprintf("m/%d.pkl", i), Method: zip.Deflate, CRC32: crc32.ChecksumIEEE(body),
				CompressedSize64: uint64(packed.Len()), UncompressedSize64: uint64(len(body))}
			if w, err := z.CreateRaw(h); err == nil {
				w.Write(packed.Bytes())
			}
		}
		z.Close()
	},
	"arrays.npz": func(w *bufio.Writer) {
		z := zip.NewWriter(w)
		array := "\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" + strings.Repeat(" ", 12) + "\n\x00\x00\x80\x3f"
		for i := range 60_000 {
			record(z, fmt.Sprintf("%d.npy", i), array)
		}
		z.Close()
	},
	"metadata.safetensors": header(func(w io.Writer) {
		io.WriteString(w, `{"__metadata__":{"":""`)
		for i := range 3_000_000 {
			fmt.Fprintf(w, `,"%x":""`, i)
		}
		io.WriteString(w, "}}")
	}),
	"name.safetensors": header(func(w io.Writer) { io.WriteString(w, `{"`+strings.Repeat("k", 99_000_000)+`":{}}`) }),
	"many.safetensors": header(func(w io.Writer) {
		io.WriteString(w, `{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`)
		for i := range 1_000_000 {
			fmt.Fprintf(w, `,"%x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, i+16)
		}
		io.WriteString(w, "}")
	}),
}

func pickleFile(write func(io.Writer)) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		z := zip.NewWriter(w)
		var b strings.Builder
		write(&b)
		record(z, "m/data.pkl", b.String()+".")
		record(z, "m/data/0", "\x00\x00\x00\x00")
		record(z, "m/version", "3\n")
		z.Close()
	}
}

func record(z *zip.Writer, name, body string) {
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	if w, err := z.Create(name); err == nil {
		io.WriteString(w, body)
	}
}

func header(write func(io.Writer)) func(*bufio.Writer) {
	return func(w *bufio.Writer) {
		var b strings.Builder
		write(&b)
		binary.Write(w, binary.LittleEndian, uint64(b.Len()))
		w.WriteString(b.String())
	}
}

// A file at the edge of a limit gets its verdict within the time and the memory of any hostile file.
func TestNearLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("writes large files")
	}
	dir := t.TempDir()
	for name, write := range nearLimits {
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		w := bufio.NewWriter(f)
		write(w)
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		for _, command := range []string{"ls", "scan"} {
			p := runProcess(t, command, "--json", path)
			if p.took > 2*time.Second { // a busy machine gets one more try
				p = runProcess(t, command, "--json", path)
			}
			if p.took > 2*time.Second || p.mib > 256 {
				t.Errorf("%s %s: %v, %d MiB", command, name, p.took, p.mib)
			}
			if !json.Valid(p.out) {
				t.Errorf("%s %s: exit %d, %.200s", command, name, p.exit, p.out)
			}
			t.Logf("%-5s%-24s exit %d %6d ms %4d MiB", command, name, p.exit, p.took.Milliseconds(), p.mib)
		}
		os.Remove(path)
	}
}
