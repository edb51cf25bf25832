package statedict

import (
	"fmt"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
	"github.com/weightroom/weightroom/statedict/internal/torchfile"
)

// codeBytes bounds the source text that is kept of one TorchScript archive, in bytes.
const codeBytes = 4 << 20

// torchScript opens what torch.jit.save wrote: parameters and buffers with the paths of their attributes, the constants
// behind them. The code is text, nothing else.
func (op *opener) torchScript(src *Source, a *torchfile.Archive) (*Checkpoint, error) {
	cp := &Checkpoint{Format: TorchScript, lenient: a.Ambiguous}
	r := &records{src: src, a: a}
	for _, part := range []struct{ record, folder string }{{"data.pkl", "data/"}, {"constants.pkl", "constants/"}} {
		i, ok := a.LookupFold(part.record)
		if !ok {
			continue
		}
		pk, err := op.recordPickle(src, a, i)
		if err != nil {
			return nil, err
		}
		for _, node := range pk.Storages {
			st := r.storage(op, part.folder, node)
			st.Key = part.folder + node.Key
			op.add(node, st)
		}
		if part.record == "data.pkl" {
			cp.root = pk.Root
		} else {
			cp.constants = pk.Root
		}
	}
	op.code(src, cp, a)
	cp.readClasses()
	return cp, nil
}

// readClasses tells the modules of the tree what their class text says about parameters and buffers.
func (cp *Checkpoint) readClasses() {
	classes := map[string]*pickle.ScriptClass{}
	for _, text := range cp.Code {
		module := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(text.Name, "code/"), ".py"), "/", ".")
		var class *pickle.ScriptClass
		for line := range strings.Lines(text.Text) {
			if rest, ok := strings.CutPrefix(line, "class "); ok {
				name, _, _ := strings.Cut(strings.TrimSpace(rest), "(")
				class = &pickle.ScriptClass{}
				classes[module+"."+strings.TrimSuffix(name, ":")] = class
				continue
			}
			field := strings.TrimSpace(line)
			switch {
			case class == nil:
			case strings.HasPrefix(field, "__parameters__"):
				class.Parameters = quotedNames(field)
			case strings.HasPrefix(field, "__buffers__"):
				class.Buffers, class.HasBuffers = quotedNames(field), true
			}
		}
	}
	if len(classes) == 0 || cp.root == nil {
		return
	}
	cp.walk(visitor{tensor: func(place, pickle.Value) {}, enter: func(_ place, n pickle.Value) bool {
		if o, ok := n.(*pickle.Object); ok {
			if g, ok := o.Class.(*pickle.Global); ok {
				o.Script = classes[g.String()]
			}
		}
		return true
	}})
}

// quotedNames are the strings of a list such as ["weight", "bias", ].
func quotedNames(list string) (names []string) {
	parts := strings.Split(list, `"`)
	for i := 1; i < len(parts); i += 2 {
		names = append(names, parts[i])
	}
	return names
}

// code collects the sources under code/.
func (op *opener) code(src *Source, cp *Checkpoint, a *torchfile.Archive) {
	left, files := int64(codeBytes), 0
	for k := range a.Records {
		i := a.Order(k)
		name := a.Records[i].Name
		if !strings.HasPrefix(name, "code/") || !strings.HasSuffix(name, ".py") {
			continue
		}
		files++
		if a.Records[i].Size > left {
			continue
		}
		text, err := a.ReadSmall(i, left)
		if err != nil {
			op.finding(Code(torchfileError(src, "zip archive", err)), name, "%s", err.Error())
			continue
		}
		left -= int64(len(text))
		cp.Code = append(cp.Code, Text{Name: name, Text: string(text)})
	}
	if files > 0 {
		what := "1 file of TorchScript source; it is shown as text and never runs"
		if files > 1 {
			what = fmt.Sprintf("%d files of TorchScript source; they are shown as text and never run", files)
		}
		op.finding("F_CODE", "code/", "%s", what)
	}
}
