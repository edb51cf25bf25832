package pagetest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/weightroom/weightroom/statedict"
)

// Tensors of every length are read as a stream, with gaps and steps back where integers lie between the floats, and come
// out as the command writes them; also in a browser whose streams give fewer bytes than they were asked for, or that has none.
func TestCastStream(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 10))
	head, end := map[string]any{}, 0
	for i := range 60 {
		kind, n := "F32", 1<<rnd.IntN(22)+rnd.IntN(100)
		if i%7 == 3 {
			kind = "I32"
		}
		if i%13 == 5 {
			n = 5<<20 + i
		}
		head["t"+strconv.Itoa(i)] = map[string]any{"dtype": kind, "shape": []int{n}, "data_offsets": []int{end, end + 4*n}}
		end += 4 * n
	}
	text, err := json.Marshal(head)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "        "[len(text)%8:]...)
	data := append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)
	at := len(data)
	data = append(data, make([]byte, end)...)
	for ; at < len(data); at += 4 {
		binary.LittleEndian.PutUint32(data[at:], rnd.Uint32())
	}
	file := write(t, "mixed.safetensors", data)
	want := native(t, file, `{"recipe":1,"steps":[{"cast":"float16"}]}`, statedict.TorchZip)
	for name, prelude := range map[string]string{
		"whole": "const get = ReadableStream.prototype.getReader; ReadableStream.prototype.getReader = function (...a) { postMessage({kind: 'test', id: 0, stream: true}); return get.apply(this, a) };",
		"short": "const read = ReadableStreamBYOBReader.prototype.read; ReadableStreamBYOBReader.prototype.read = function (view) { return read.call(this, new Uint8Array(view.buffer, view.byteOffset, Math.min(view.byteLength, 1 << 20))) };",
		"none":  "Blob.prototype.stream = undefined;",
	} {
		b := emptyTab(t)
		source, err := json.Marshal(prelude + "\n")
		if err != nil {
			t.Fatal(err)
		}
		command(b, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: "window.prelude = " + string(source)})
		b.do(chromedp.Navigate(server.URL + "/some/where/"))
		b.wait("ready")
		js[bool](b, "(workers.at(-1).addEventListener('message', e => window.streamed ||= e.data.stream), true)")
		b.choose(file)
		b.more()
		b.edit("cast", "to", "float16")
		if got := b.export("torch", "out.pth"); !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes that differ from the %d of the codec", name, len(got), len(want))
		}
		if name == "whole" && b.str("window.streamed") != "true" {
			t.Error("no stream was opened")
		}
		b.clean()
	}
}
