package listing

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// sarif is what the schema of SARIF 2.1.0 allows of the properties that are written here; the decoder refuses all others.
//
// Source: OASIS, sarif-schema-2.1.0.json.
type sarif struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []struct {
		Tool struct {
			Driver struct {
				Name  string `json:"name"`
				Rules []struct {
					ID               string `json:"id"`
					ShortDescription struct {
						Text string `json:"text"`
					} `json:"shortDescription"`
				} `json:"rules"`
			} `json:"driver"`
		} `json:"tool"`
		Results []struct {
			RuleID  string `json:"ruleId"`
			Level   string `json:"level"`
			Message struct {
				Text string `json:"text"`
			} `json:"message"`
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct {
						URI string `json:"uri"`
					} `json:"artifactLocation"`
					Region *struct {
						ByteOffset int64 `json:"byteOffset"`
						ByteLength int64 `json:"byteLength"`
					} `json:"region"`
				} `json:"physicalLocation"`
				LogicalLocations []struct {
					FullyQualifiedName string `json:"fullyQualifiedName"`
					Kind               string `json:"kind"`
				} `json:"logicalLocations"`
			} `json:"locations"`
		} `json:"results"`
	} `json:"runs"`
}

// check says what the schema forbids in a document about a file of size bytes.
func (d *sarif) check(size int64) (wrong []string) {
	add := func(bad bool, what string) {
		if bad {
			wrong = append(wrong, what)
		}
	}
	add(d.Version != "2.1.0", "version")
	schema, err := url.Parse(d.Schema)
	add(err != nil || schema.Scheme != "https", "$schema")
	add(len(d.Runs) != 1, "runs")
	for _, run := range d.Runs {
		add(run.Tool.Driver.Name == "", "driver name")
		add(run.Results == nil, "no results: the tool did not run")
		rules := map[string]bool{}
		for _, r := range run.Tool.Driver.Rules {
			add(r.ID == "" || rules[r.ID], "rule "+r.ID)
			add(r.ShortDescription.Text == "", "rule without a text")
			rules[r.ID] = true
		}
		for _, r := range run.Results {
			add(!rules[r.RuleID], "result of no rule: "+r.RuleID)
			add(!slices.Contains([]string{"none", "note", "warning", "error"}, r.Level), "level "+r.Level)
			add(r.Message.Text == "", "message")
			add(len(r.Locations) == 0, "no location") // code scanning services leave such results out
			for _, l := range r.Locations {
				uri, err := url.Parse(l.PhysicalLocation.ArtifactLocation.URI)
				add(err != nil || uri.Path == "" || uri.Scheme != "", "uri "+l.PhysicalLocation.ArtifactLocation.URI)
				if reg := l.PhysicalLocation.Region; reg != nil {
					add(reg.ByteOffset < 0 || reg.ByteLength < 0 || reg.ByteOffset >= size, "region")
				}
			}
		}
	}
	return wrong
}

// Every hostile file's scan is a valid document, whatever the file is called, with a result for each global outside the safe list.
func TestSARIF(t *testing.T) {
	files, err := filepath.Glob("../../testdata/hostile/*-*-*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	files = append(files, "../../testdata/state_dict.pth", "../../testdata/torchscript.pt")
	names := []string{"model.pth", "a:b.pth", "späce é%41?#.pth", "../x/y.pth", "/abs/y.pth", "x\n\x1b\u202e.pth"}
	documents, results := 0, 0
	for i, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		name := names[i%len(names)]
		r, err := statedict.Scan(context.Background(), statedict.Source{Name: name, R: bytes.NewReader(data), Size: int64(len(data))})
		if err != nil {
			continue
		}
		var out bytes.Buffer
		if err := WriteSARIF(&out, r); err != nil {
			t.Fatal(err)
		}
		var doc sarif
		dec := json.NewDecoder(&out)
		dec.DisallowUnknownFields()
		if err := dec.Decode(&doc); err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		for _, w := range doc.check(int64(len(data))) {
			t.Errorf("%s as %q: %s", f, name, w)
		}
		outside, errors := 0, 0
		for i := range r.Globals {
			if r.Globals[i].Verdict() != "safe" {
				outside++
			}
		}
		for _, res := range doc.Runs[0].Results {
			if res.RuleID == "F_GLOBAL" {
				outside--
			}
			if res.Level != "note" {
				errors++
			}
			if got, err := url.Parse(res.Locations[0].PhysicalLocation.ArtifactLocation.URI); err != nil || filepath.Clean(got.Path) != filepath.Clean(name) {
				t.Errorf("%s: %q is %v", f, name, got)
			}
		}
		if outside != 0 || (errors == 0) != r.Safe() {
			t.Errorf("%s: %d globals without a result, %d results that matter, safe %v", f, outside, errors, r.Safe())
		}
		documents, results = documents+1, results+len(doc.Runs[0].Results)
	}
	t.Logf("%d documents, %d results", documents, results)
}
