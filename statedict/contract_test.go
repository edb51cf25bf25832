package statedict_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weightroom/weightroom/statedict"
)

// TestStepHints runs steps that cannot be done, or that an output cannot keep, and wants the sentence that helps.
func TestStepHints(t *testing.T) {
	plain, _ := fixtureRow(t, "state_dict.pth")
	odd, _ := fixtureRow(t, "keys_not_strings.pth")
	for _, c := range []struct {
		cp         *statedict.Checkpoint
		step, want string
	}{
		{plain, `{strip_prefix: module.}`, `optional: true lets a step touch nothing (--step '{"strip_prefix":{"prefix":"module.","optional":true}}')`},
		{plain, `{keep: {match: [a.**, b.**], except: c}}`, `(--step '{"keep":{"match":["a.**","b.**"],"except":"c","optional":true}}')`},
		{plain, `{drop: "` + strings.Repeat("long", 100) + `"}`, "optional: true lets a step touch nothing"},
		{odd, `{rename: {from: "1", to: one}}`, "keys that are no strings keep their names"},
		{plain, `{cast: torch.half}`, `did you mean "float16"?`},
		{plain, `{cast: FLOAT16}`, `did you mean "float16"?`},
		{plain, `{cast: BF16}`, `did you mean "bfloat16"?`},
	} {
		err := applyError(c.cp, c.step)
		if err == nil {
			t.Errorf("%s: no error", c.step)
			continue
		}
		if text := err.Error() + "\n" + statedict.Hint(err); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s", c.step, text)
		}
	}
}

// TestOptionalHintIsAStep takes the step out of the hint of every operation that can touch nothing, and runs it.
func TestOptionalHintIsAStep(t *testing.T) {
	cp, _ := fixtureRow(t, "state_dict.pth")
	for _, step := range []string{`{keep: x}`, `{drop: x}`, `{rename: {from: x, to: y}}`, `{strip_prefix: zz.}`, `{strip_prefix: [zz., yy.]}`, `{add_prefix: {prefix: q, match: x}}`,
		`{extract: zz}`, `{cast: {to: float16, match: x}}`, `{set_device: {device: cpu, match: x}}`, `{set_requires_grad: {value: true, match: x}}`, `{unshare: x}`,
		`{compact: {match: x}}`, `{drop_objects: nothing}`} {
		err := applyError(cp, step)
		_, text, ok := strings.Cut(statedict.Hint(err), "(--step '")
		if !ok {
			t.Errorf("%s: %v, hint %q", step, err, statedict.Hint(err))
			continue
		}
		if err := applyError(cp, strings.TrimSuffix(text, "')")); err != nil {
			t.Errorf("%s: the hint's own step: %v", step, err)
		}
	}
}

// TestMetadataOfOutputs: what loaders of safetensors ask for stays, and what another format has no place for is a warning.
func TestMetadataOfOutputs(t *testing.T) {
	cp, _ := fixtureRow(t, "state_dict.pth")
	set := apply(t, cp, `{set_metadata: {author: me}}`)
	_, back, err := export(t, set, statedict.Safetensors, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(back.Metadata); got != "map[author:me format:pt]" {
		t.Errorf("metadata %s", got)
	}
	own := apply(t, cp, `{set_metadata: {format: tf}}`)
	if _, back, err = export(t, own, statedict.Safetensors, nil); err != nil || fmt.Sprint(back.Metadata) != "map[format:tf]" {
		t.Errorf("metadata %v, %v", back.Metadata, err)
	}
	for _, c := range []struct {
		cp     *statedict.Checkpoint
		format statedict.Format
		want   string
	}{
		{set, statedict.TorchZip, `metadata that torch-zip has no place for is left out: "author"`},
		{set, statedict.NPZ, `metadata that npz has no place for is left out: "author"`},
		{set, statedict.Safetensors, ""},
		{own, statedict.TorchZip, ""},
		{cp, statedict.TorchZip, ""},
	} {
		p, err := statedict.NewPlan(c.cp, c.format, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(p.Report.Warnings, "\n"); got != c.want {
			t.Errorf("%s: warnings %q, want %q", c.format, got, c.want)
		}
	}
}

// A name that safetensors.torch.save_model left out as tied is not silently lost on the way back.
func TestTiedNameOnTheWayBack(t *testing.T) {
	cp, _ := fixtureRow(t, "state_dict.pth")
	cp = apply(t, cp, `{set_metadata: {head.weight: fc.weight, author: me}}`)
	p, err := statedict.NewPlan(cp, statedict.TorchZip, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`"head.weight" was tied to "fc.weight" and only the metadata names it: the output does not have it`, `metadata that torch-zip has no place for is left out: "author"`}
	if !slices.Equal(p.Report.Warnings, want) {
		t.Errorf("warnings %q", p.Report.Warnings)
	}
}

// TestShardLimitOfOneFile: a torch output that its limit leaves in one file holds objects as any other does.
func TestShardLimitOfOneFile(t *testing.T) {
	cp, _ := fixtureRow(t, "dataparallel_sgd.pth")
	cp = apply(t, cp, `{strip_prefix: module.}`)
	for _, f := range []statedict.Format{statedict.TorchZip, statedict.TorchLegacy} {
		whole, _, err := export(t, cp, f, nil)
		if err != nil {
			t.Fatal(err)
		}
		limited, _, err := export(t, cp, f, &statedict.PlanOptions{MaxShardSize: 1 << 20})
		if err != nil || len(limited) != 1 || !slices.Equal(limited[0], whole[0]) {
			t.Errorf("%s: %d files, %v", f, len(limited), err)
		}
		if _, _, err = export(t, cp, f, &statedict.PlanOptions{MaxShardSize: 100}); err == nil || !strings.Contains(err.Error(), "tensors only") {
			t.Errorf("%s, sharded: %v", f, err)
		}
	}
}

// TestManyObjects: the text of a refusal names an optimizer once, its keys name all that the page offers to leave out.
func TestManyObjects(t *testing.T) {
	cp, _ := fixtureRow(t, "dataparallel_sgd.pth")
	_, err := statedict.NewPlan(cp, statedict.Safetensors, nil)
	var ue *statedict.UnsupportedError
	if !errors.As(err, &ue) {
		t.Fatal(err)
	}
	if !slices.Contains(ue.Keys, "optimizer.param_groups[0].lr") || strings.Contains(err.Error(), "param_groups") || !strings.Contains(err.Error(), `"optimizer (`) {
		t.Errorf("%v, keys %q", err, ue.Keys)
	}
}
