package listing

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"strconv"

	"github.com/weightroom/weightroom/statedict"
)

// WriteJSON writes the document of `ls --json`. Memory does not grow with the number of entries: it is streamed.
func (l *Listing) WriteJSON(out io.Writer) error {
	w := bufio.NewWriterSize(out, 64<<10)
	names := storageNames(l.cp)
	b := append(make([]byte, 0, 4096), `{"format": `...)
	b = AppendString(b, string(l.cp.Format))
	b = append(b, `, "sources": [`...)
	for i, s := range l.cp.Sources {
		b = comma(b, i, "")
		b = append(b, `{"name": `...)
		b = AppendString(b, s.Name)
		b = append(b, `, "size": `...)
		b = strconv.AppendInt(b, s.Size, 10)
		b = append(b, '}')
	}
	b = append(b, "],\n \"state_dicts\": ["...)
	n := 0
	for _, d := range l.cp.StateDicts() {
		if !within(d.Path, l.at) {
			continue
		}
		b = comma(b, n, "")
		b = append(b, `{"path": `...)
		b = AppendString(b, d.Path)
		b = append(b, `, "keys": `...)
		b = strconv.AppendInt(b, int64(d.Keys), 10)
		b = append(b, `, "nbytes": `...)
		b = strconv.AppendInt(b, d.NBytes, 10)
		b = append(b, '}')
		n++
	}
	b = append(b, "],\n \"tensors\": ["...)
	for i, id := range l.entries {
		b = comma(b, i, "\n  ")
		b = appendEntry(b, l.cp, &l.cp.Entries[id], names)
		if len(b) > 4<<10 {
			w.Write(b)
			b = b[:0]
		}
	}
	b = append(b, "],\n \"objects\": ["...)
	n = 0
	for o := range l.cp.Objects() {
		if !within(o.Path, l.at) {
			continue
		}
		b = comma(b, n, "\n  ")
		b = appendObject(b, o)
		if len(b) > 4<<10 {
			w.Write(b)
			b = b[:0]
		}
		n++
	}
	b = append(b, "],\n \"module_versions\": {"...)
	dict := l.at
	if !l.narrowed {
		dict = l.cp.DictPath()
	}
	paths, versions := l.cp.ModuleVersions(dict)
	for i, p := range paths {
		b = comma(b, i, "")
		b = AppendString(b, p)
		b = append(b, ": "...)
		b = strconv.AppendInt(b, versions[i], 10)
	}
	b = append(b, "},\n \"metadata\": {"...)
	for i, k := range l.cp.MetadataKeys {
		b = comma(b, i, "")
		b = AppendString(b, k)
		b = append(b, ": "...)
		b = AppendString(b, l.cp.Metadata[k])
	}
	b = append(b, "},\n \"globals\": ["...)
	n = 0
	seen := map[string]bool{}
	for _, g := range l.cp.Globals {
		if s := g.String(); !seen[s] {
			seen[s] = true
			b = comma(b, n, "")
			b = AppendString(b, s)
			n++
		}
	}
	b = append(b, "],\n \"findings\": "...)
	w.Write(append(appendFindings(b, l.cp.Findings), "}\n"...))
	return w.Flush()
}

func comma(b []byte, i int, lead string) []byte {
	if i > 0 {
		b = append(b, ',')
		if lead == "" {
			b = append(b, ' ')
		}
	}
	return append(b, lead...)
}

// DType is the entry's dtype: torch's name, or the format's own where torch has none ("Q8_0").
func DType(e *statedict.Entry) string {
	return e.TypeName()
}

// NBytes is the bytes of the entry's elements, -1 for an impossible shape. Of a composite it counts the parts.
func NBytes(e *statedict.Entry) int64 {
	switch {
	case e.Info != nil && e.Info.Code != "":
		return e.Info.CodeBytes
	case e.Info != nil && e.Storage == statedict.NoStorage && len(e.Info.Parts) > 0:
		var sum int64
		for i := range e.Info.Parts {
			sum += max(e.Info.Parts[i].NBytes(), 0)
		}
		return sum
	}
	return e.NBytes()
}

func appendEntry(b []byte, cp *statedict.Checkpoint, e *statedict.Entry, names []string) []byte {
	b = append(b, `{"dict": `...)
	b = AppendString(b, e.Dict)
	b = append(b, `, "key": `...)
	from := len(b)
	b = AppendString(b, e.Key)
	to := len(b)
	b = append(b, `, "path": `...)
	if e.Dict == "" { // the two are one
		b = append(b, b[from:to]...)
	} else {
		b = AppendString(b, e.Path())
	}
	b = append(b, `, `...)
	b = appendView(b, &e.View, DType(e), NBytes(e), names)
	device, layout := "", "strided"
	if e.Storage != statedict.NoStorage {
		device = cp.Storages[e.Storage].Location
	}
	if in := e.Info; in != nil {
		if in.Device != "" {
			device = in.Device
		}
		if in.Layout != "" {
			layout = in.Layout
		}
		if device == "" && len(in.Parts) > 0 && in.Parts[0].Storage != statedict.NoStorage {
			device = cp.Storages[in.Parts[0].Storage].Location
		}
	}
	if device == "" {
		device = "cpu"
	}
	b = append(b, `, "device": `...)
	b = AppendString(b, device)
	b = append(b, `, "layout": `...)
	b = AppendString(b, layout)
	b = append(b, `, "requires_grad": `...)
	b = strconv.AppendBool(b, e.RequiresGrad)
	b = append(b, `, "parameter": `...)
	b = strconv.AppendBool(b, e.Parameter)
	if e.Conj {
		b = append(b, `, "conj": true`...)
	}
	if e.Neg {
		b = append(b, `, "neg": true`...)
	}
	if e.Info != nil {
		b = appendInfo(b, e.Info, names)
	}
	return append(b, '}')
}

// appendView appends the members that an entry and a part of one have in common.
func appendView(b []byte, v *statedict.View, dtype string, nbytes int64, names []string) []byte {
	b = append(b, `"dtype": `...)
	b = AppendString(b, dtype)
	b = append(b, `, "shape": `...)
	b = appendInts(b, v.Shape)
	b = append(b, `, "stride": `...)
	b = appendInts(b, v.Stride)
	b = append(b, `, "storage_offset": `...)
	b = strconv.AppendInt(b, v.Offset, 10)
	b = append(b, `, "storage": `...)
	if v.Storage == statedict.NoStorage {
		b = append(b, "null"...)
	} else {
		b = AppendString(b, names[v.Storage])
	}
	b = append(b, `, "nbytes": `...)
	if nbytes < 0 {
		b = append(b, "null"...) // an impossible shape, see "bad"
	} else {
		b = strconv.AppendInt(b, nbytes, 10)
	}
	return b
}

func appendInfo(b []byte, in *statedict.TensorInfo, names []string) []byte {
	if in.QScheme != "" {
		b = append(b, `, "quantization": {"scheme": `...)
		b = AppendString(b, in.QScheme)
		b = append(b, `, "scale": `...)
		b = appendFloat(b, in.Scale)
		b = append(b, `, "zero_point": `...)
		b = strconv.AppendInt(b, in.ZeroPoint, 10)
		b = append(b, `, "axis": `...)
		b = strconv.AppendInt(b, in.Axis, 10)
		b = append(b, '}')
	}
	if in.Class != "" {
		b = append(b, `, "class": `...)
		b = AppendString(b, in.Class)
	}
	if len(in.Parts) > 0 {
		b = append(b, `, "parts": [`...)
		for i := range in.Parts {
			b = comma(b, i, "")
			b = append(b, `{"name": `...)
			b = AppendString(b, in.Parts[i].Name)
			b = append(b, `, `...)
			v := &in.Parts[i].View
			b = appendView(b, v, v.DType.String(), v.NBytes(), names)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	if in.Bad != "" {
		b = append(b, `, "bad": `...)
		b = AppendString(b, in.Bad)
	}
	return b
}

func appendObject(b []byte, o statedict.Object) []byte {
	b = append(b, `{"path": `...)
	b = AppendString(b, o.Path)
	b = append(b, `, "type": `...)
	b = AppendString(b, o.Type)
	if o.IsRef {
		b = append(b, `, "ref": `...)
		b = AppendString(b, o.Ref)
	}
	if o.HasValue {
		b = append(b, `, "value": `...)
		b = appendValue(b, o.Value)
	}
	return append(b, '}')
}

// appendValue appends a leaf. Objects hand out short lists of scalars only, so one level of nesting is all there is.
func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case float64:
		return appendFloat(b, v)
	case string:
		return AppendString(b, v)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			b = comma(b, i, "")
			if _, nested := x.([]any); nested {
				b = append(b, "null"...)
				continue
			}
			b = appendValue(b, x)
		}
		return append(b, ']')
	}
	if j, err := json.Marshal(v); err == nil {
		return append(b, j...)
	}
	return append(b, "null"...)
}

// appendFloat appends a number. JSON has no NaN and no infinity: those are strings, spelled as Python's json spells them.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	n := len(b)
	b = strconv.AppendFloat(b, f, 'f', -1, 64)
	for _, c := range b[n:] {
		if c == '.' {
			return b
		}
	}
	return append(b, '.', '0') // 1.0 stays a float in Python
}

func appendInts(b []byte, v []int64) []byte {
	b = append(b, '[')
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, x, 10)
	}
	return append(b, ']')
}

// storageNames gives each storage a string of its own: the file's key, with the source in front where two files of a
// sharded checkpoint use the same one, or its number where the format has no keys. The windows that old legacy files have
// are storages of one key that lie inside each other; they keep the one name.
func storageNames(cp *statedict.Checkpoint) []string {
	names := make([]string, len(cp.Storages))
	distinct := true // torch numbers them
	for i := range cp.Storages {
		if names[i] = cp.Storages[i].Key; names[i] == "" {
			names[i] = strconv.Itoa(i)
		}
		distinct = distinct && (i == 0 || shorter(names[i-1], names[i]))
	}
	if distinct {
		return names
	}
	owner := make(map[string]int, len(cp.Storages))
	for i := range cp.Storages {
		s, name := &cp.Storages[i], names[i]
		if j, taken := owner[name]; taken {
			if overlap(s, &cp.Storages[j]) {
				continue
			}
			if s.Data.Source != nil {
				name = s.Data.Source.Name + ":" + name
			}
		}
		for _, taken := owner[name]; taken; _, taken = owner[name] {
			name += "'"
		}
		owner[name] = i
		names[i] = name
	}
	return names
}

// shorter tells whether a comes before b in the order of numbers: what ascends in it has no two alike.
func shorter(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

// overlap tells whether two storages are windows of the same bytes.
func overlap(a, b *statedict.Storage) bool {
	return a.Data.Source != nil && a.Data.Source == b.Data.Source && a.Data.Off < b.Data.Off+b.Data.Len && b.Data.Off < a.Data.Off+a.Data.Len
}
