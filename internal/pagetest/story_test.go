package pagetest

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// A DataParallel checkpoint: look, strip the prefix, drop the counters, undo and redo, save. The saved file is what the
// codec itself writes, byte for byte.
func TestStory(t *testing.T) {
	b := newTab(t)
	keys := []string{
		"module.conv1.weight", "module.conv1.bias", "module.bn1.weight", "module.bn1.num_batches_tracked", "module.fc.weight",
		"module.layer1.0.bn.num_batches_tracked",
	}
	file := safetensors(t, keys...)
	b.choose(file)
	if got := b.role("summary"); got != "6 keys · 48 B" {
		t.Errorf("summary %q", got)
	}
	if got := b.paths("tensor"); strings.Join(got, " ") != strings.Join([]string{keys[0], keys[1], keys[2], keys[3], keys[4], keys[5]}, " ") {
		t.Errorf("rows %q", got)
	}
	if got := b.paths("group"); strings.Join(got, " ") != "module module.conv1 module.bn1 module.fc module.layer1 module.layer1.0 module.layer1.0.bn" {
		t.Errorf("groups %q", got)
	}
	loaded := len(b.requested())

	b.set("#filter", "bn*")
	b.until("document.querySelector('[data-role=tree-empty]').innerText.includes('No key')")
	b.set("#filter", "bn weight")
	if got := b.paths("tensor"); strings.Join(got, " ") != "module.bn1.weight" {
		t.Errorf("filtered rows %q", got)
	}
	if got := b.role("matches"); got != "1 match" {
		t.Errorf("matches %q", got)
	}
	b.set("#filter", "")

	// The preview comes before anything is applied.
	b.click("strip-prefix")
	b.fill("prefix", "module.")
	b.until("document.querySelector('.preview-line').innerText === '6 of 6 keys get a new name'")
	if got := b.str("[...document.querySelectorAll('.preview .change')].map(c => c.innerText.replace('\\n', ' > ')).join()"); !strings.HasPrefix(got, "module.conv1.weight > conv1.weight,") {
		t.Errorf("preview %q", got)
	}
	if got := b.paths("tensor")[0]; got != keys[0] {
		t.Errorf("the preview changed the tree: %s", got)
	}
	b.apply()
	b.edit("drop", "match", "**.num_batches_tracked")
	if got := b.role("summary"); got != "4 keys · 32 B" {
		t.Errorf("summary after two steps %q", got)
	}
	if got := b.paths("tensor"); strings.Join(got, " ") != "conv1.weight conv1.bias bn1.weight fc.weight" {
		t.Errorf("rows after two steps %q", got)
	}
	b.click("undo")
	b.wait("ready")
	b.click("undo")
	b.wait("ready")
	if got := b.role("summary"); got != "6 keys · 48 B" {
		t.Errorf("summary after undo %q", got)
	}
	b.click("redo")
	b.wait("ready")
	b.click("redo")
	b.wait("ready")
	if got := b.str("document.querySelectorAll('[data-role=steps] .step:not(.undone)').length"); got != "2" {
		t.Errorf("%s steps done after redo", got)
	}

	recipe := `{"recipe":1,"steps":[{"strip_prefix":"module."},{"drop":"**.num_batches_tracked"}]}`
	got := b.export("safetensors", "out.safetensors")
	if want := native(t, file, recipe, statedict.Safetensors); !bytes.Equal(got, want) {
		t.Errorf("the page saved %d bytes, the codec writes %d others", len(got), len(want))
	}
	if s := b.str("document.querySelector('.saved').innerText"); !strings.Contains(s, "out.safetensors") {
		t.Errorf("the end says %q", s)
	}
	if n := len(b.requested()); n != loaded {
		t.Errorf("requests after loading: %q", b.requested()[loaded:])
	}
	b.clean()
}

// Every operation once, each with what the codec makes of it.
func TestOperations(t *testing.T) {
	file := safetensors(t, "net.a.w", "net.a.b", "net.b.w", "head.w")
	for _, c := range []struct {
		action string
		fields []string
		step   string
	}{
		{"keep", []string{"match", "net.**"}, `{"keep":"net.**"}`},
		{"drop", []string{"match", "net.a.*, head.**"}, `{"drop":["net.a.*","head.**"]}`},
		{"rename", []string{"from", `re:^net\.(.)\.`, "to", "blocks.$1."}, `{"rename":{"from":"re:^net\\.(.)\\.","to":"blocks.$1."}}`},
		{"strip-prefix", []string{"prefix", "head., net."}, `{"strip_prefix":["head.","net."]}`},
		{"add-prefix", []string{"prefix", "model.", "match", "net.**"}, `{"add_prefix":{"prefix":"model.","match":"net.**"}}`},
		{"extract", []string{"prefix", "net"}, `{"extract":"net"}`},
	} {
		t.Run(c.action, func(t *testing.T) {
			b := newTab(t)
			b.choose(file)
			b.edit(c.action, c.fields...)
			got := b.export("safetensors", "out.safetensors")
			want := native(t, file, `{"recipe":1,"steps":[`+c.step+`]}`, statedict.Safetensors)
			if !bytes.Equal(got, want) {
				t.Errorf("keys %q, want %q", keys(openBytes(t, got)), keys(openBytes(t, want)))
			}
			b.clean()
		})
	}
}

// What cannot be done is said in the panel, and nothing changes.
func TestProblems(t *testing.T) {
	b := newTab(t)
	b.choose(safetensors(t, "a.w", "b.w", "w"))
	b.click("rename")
	b.fill("from", "re:^[ab]")
	b.fill("to", "c")
	b.until("document.querySelector('.preview-error p')?.innerText.length > 0")
	b.shot("collision")
	if got := b.str("document.querySelector('.preview-error').innerText"); !strings.Contains(got, "a.w") || !strings.Contains(got, "b.w") {
		t.Errorf("the collision is told as %q", got)
	}
	b.click("apply")
	b.wait("error")
	if got := b.role("summary"); got != "3 keys · 24 B" {
		t.Errorf("summary %q", got)
	}
	b.fill("to", "$0")
	b.fill("from", "")
	b.click("apply")
	b.until("document.querySelector('.field.wrong')")
	b.set("#filter", "re:(")
	if got := b.role("matches"); !strings.Contains(got, "not complete") {
		t.Errorf("a broken filter is told as %q", got)
	}
	b.clean()
}

func TestNoCheckpoint(t *testing.T) {
	zip, err := os.ReadFile(fixture("dataparallel_sgd.pth"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"truncated.pth":   zip[:len(zip)-100],
		"pointer.pth":     []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4665a5ea423c2713d436b5ee50593a9640e0018c1550b5a0002f74190d6caea8\nsize 46827520\n"),
		"page.pth":        []byte("<!DOCTYPE html>\n<html><head><title>Not found</title></head><body>404</body></html>\n"),
		"empty.pth":       {},
		"<img src=x>.pth": []byte("nothing"),
	} {
		t.Run(name, func(t *testing.T) {
			b := newTab(t)
			b.choose(write(t, strings.ReplaceAll(name, "/", "_"), data))
			b.wait("error")
			title, msg := b.role("error-title"), b.role("error-message")
			t.Logf("%s | %s | %s", title, msg, b.role("error-hint"))
			if !strings.Contains(title, name) || len(msg) < 10 || len(msg) > 200 || strings.Contains(msg, "goroutine") || strings.Count(msg, ". ") > 0 {
				t.Errorf("title %q, message %q", title, msg)
			}
			if name == "page.pth" {
				b.shot("error")
			}
			// The page goes on.
			b.choose(safetensors(t, "w"))
			b.wait("ready")
			if got := b.role("summary"); got != "1 key · 8 B" || b.str("document.querySelector('[data-role=error]').hidden") != "true" {
				t.Errorf("after an error: summary %q, error %q", got, b.role("error"))
			}
			b.clean()
		})
	}
}
