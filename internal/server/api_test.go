package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

const fixtures = "../../testdata"

func post(t *testing.T, url, body string) (*http.Response, string) {
	t.Helper()
	res, err := http.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestAPI(t *testing.T) {
	_, h := start(t, Options{Root: fixtures})

	// ls is the command's document.
	res, body := get(t, h.URL+"/api/ls?path=dataparallel_sgd.pth&at=state_dict&sort=key")
	data, err := os.ReadFile(filepath.Join(fixtures, "dataparallel_sgd.pth"))
	if err != nil {
		t.Fatal(err)
	}
	cp, err := statedict.Open(t.Context(), statedict.Source{Name: "dataparallel_sgd.pth", R: bytes.NewReader(data), Size: int64(len(data))})
	if err != nil {
		t.Fatal(err)
	}
	l := listing.New(cp)
	if err := l.At("state_dict"); err != nil {
		t.Fatal(err)
	}
	l.Sort("key")
	var want bytes.Buffer
	l.WriteJSON(&want)
	if res.StatusCode != 200 || body != want.String() || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("ls: %s %v %.200s", res.Status, res.Header, body)
	}

	// plan says what export then sends: name, size, and bytes that open again.
	request := `{"path": "dataparallel_sgd.pth", "recipe": {"recipe": 1, "steps": [{"strip_prefix": "module."}]}}`
	res, body = post(t, h.URL+"/api/plan", request)
	var report statedict.Report
	if err := json.Unmarshal([]byte(body), &report); err != nil || res.StatusCode != 200 {
		t.Fatalf("plan: %s %s", res.Status, body)
	}
	if report.At != "state_dict" || len(report.Files) != 1 || report.Files[0].Name != "dataparallel_sgd.pth" || report.Ops[0].Op != "strip_prefix" {
		t.Errorf("plan: %+v", report)
	}
	res, body = post(t, h.URL+"/api/export", request)
	if res.StatusCode != 200 || int64(len(body)) != report.Files[0].Size || res.ContentLength != report.Files[0].Size ||
		res.Header.Get("Content-Disposition") != "attachment; filename=dataparallel_sgd.pth" {
		t.Errorf("export: %s, %d bytes, %v", res.Status, len(body), res.Header)
	}
	out, err := statedict.Open(t.Context(), statedict.Source{Name: "x", R: strings.NewReader(body), Size: int64(len(body))})
	if err != nil || out.Entries[0].Key != strings.TrimPrefix(cp.Entries[0].Key, "module.") {
		t.Errorf("export: %v", err)
	}

	// The recipe as the text that a file has; the report is that of `edit --dry-run`, with what a cast loses.
	res, body = post(t, h.URL+"/api/plan", `{"path": "dtypes.pth", "recipe": "recipe: 1\nsteps:\n  - cast: float8_e4m3fn\n", "max_shard_size": "1GB"}`)
	report = statedict.Report{}
	if err := json.Unmarshal([]byte(body), &report); err != nil || res.StatusCode != 200 {
		t.Fatalf("plan of a text: %s %s", res.Status, body)
	}
	if len(report.Ops) != 1 || len(report.Files) != 1 || len(report.Sources) != 1 || report.Sources[0].Name != "dtypes.pth" || report.Cast.Overflowed != 1 {
		t.Errorf("plan of a text: %s", body)
	}

	// A folder is none of the files, and the answer says what to name.
	if res, body = get(t, h.URL+"/api/ls?path=distributed"); res.StatusCode != 422 || !strings.Contains(body, "index of its shards") {
		t.Errorf("a folder: %s %.300s", res.Status, body)
	}

	// A sharded export is fetched file by file.
	request = `{"path": "state_dict.pth", "format": "safetensors", "name": "m.safetensors", "max_shard_size": 440`
	if res, body = post(t, h.URL+"/api/export", request+`}`); res.StatusCode != 400 {
		t.Errorf("sharded export: %s %.200s", res.Status, body)
	}
	if res, body = post(t, h.URL+"/api/export", request+`, "file": "m.safetensors.index.json"}`); res.StatusCode != 200 || !strings.Contains(body, "weight_map") {
		t.Errorf("index of a sharded export: %s %.200s", res.Status, body)
	}

	for body, want := range map[string]int{
		`{"path": "state_dict.pth", "recipe": {"recipe": 1, "steps": [{"strip_prefix": "no."}]}}`:                  422,
		`{"path": "state_dict.pth", "recipe": {"recipe": 1, "steps": [{"strip_prefx": "no."}]}}`:                   422,
		`{"path": "state_dict.pth", "recipe": {"recipe": 1, "steps": [{"merge": {"from": "../go.mod"}}]}}`:         400,
		`{"path": "state_dict.pth", "format": "tensorflow"}`:                                                       400,
		`{"path": "state_dict.pth", "unknown": 1}`:                                                                 400,
		`{"path": "broken/truncated.pth"}`:                                                                         422,
		`[`:                                                                                                        400,
		`{"path": "numpy_namespace.pth", "recipe": {"recipe": 1, "steps": [{"set_device": "cpu"}]}}`:               422,
		`{"path": "state_dict.pth", "recipe": {"recipe": 1, "steps": [{"keep_known": {"in": "state_dict.pth"}}]}}`: 200,
	} {
		if res, answer := post(t, h.URL+"/api/plan", body); res.StatusCode != want {
			t.Errorf("%s: %s, want %d: %.200s", body, res.Status, want, answer)
		}
	}
}

// TestHostileFilesCostTheirOwnRequest lists every broken fixture again and again, with good files in between.
func TestHostileFilesCostTheirOwnRequest(t *testing.T) {
	_, h := start(t, Options{Root: fixtures})
	broken, err := filepath.Glob(fixtures + "/broken/*")
	if err != nil || len(broken) == 0 {
		t.Fatal("no broken fixtures")
	}
	get(t, h.URL+"/api/ls?path=state_dict.pth")
	before := runtime.NumGoroutine()
	for range 3 {
		for _, file := range broken {
			res, body := get(t, h.URL+"/api/ls?path=broken/"+filepath.Base(file))
			if res.StatusCode != 422 && res.StatusCode != 200 {
				t.Errorf("%s: %s %.200s", file, res.Status, body)
			}
		}
		if res, _ := get(t, h.URL+"/api/ls?path=state_dict.pth"); res.StatusCode != 200 {
			t.Errorf("a good file after them: %s", res.Status)
		}
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
}
