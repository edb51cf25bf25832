package listing

import (
	"io"
	"net/url"
	"slices"
	"strconv"

	"github.com/weightroom/weightroom/statedict"
)

// WriteSARIF writes a scan as SARIF 2.1.0: a result for every global outside the safe list and for every other finding. What is
// known to be dangerous, and what speaks against the file otherwise, is an error; unknown names are warnings, the rest notes.
//
// Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
func WriteSARIF(w io.Writer, r *statedict.ScanReport) error {
	var rules []string
	rule := func(id string) {
		if !slices.Contains(rules, id) {
			rules = append(rules, id)
		}
	}
	var results []byte
	n := 0
	result := func(id, level, text, source, record string, at int64) {
		rule(id)
		results = append(comma(results, n, "\n    "), `{"ruleId": `...)
		results = AppendString(results, id)
		results = append(results, `, "level": `...)
		results = AppendString(results, level)
		results = append(results, `, "message": {"text": `...)
		results = AppendString(results, text)
		results = append(results, `}, "locations": [{"physicalLocation": {"artifactLocation": {"uri": `...)
		results = AppendString(results, (&url.URL{Path: source}).String())
		results = append(results, '}')
		if at >= 0 {
			results = append(results, `, "region": {"byteOffset": `...)
			results = strconv.AppendInt(results, at, 10)
			results = append(results, `, "byteLength": 1}`...)
		}
		results = append(results, '}')
		if record != "" {
			results = append(results, `, "logicalLocations": [{"fullyQualifiedName": `...)
			results = AppendString(results, record)
			results = append(results, `, "kind": "member"}]`...)
		}
		results = append(results, "}]}"...)
		n++
	}
	for i := range r.Globals {
		g := &r.Globals[i]
		level := "error"
		switch g.Verdict() {
		case "safe":
			continue
		case "unknown":
			level = "warning"
		}
		at := g.Position
		if g.Record != "" {
			at = -1 // an offset in a record, which may be deflated, and not in the file
		}
		result("F_GLOBAL", level, "unpickling imports "+Escape(g.String())+", byte "+strconv.FormatInt(g.Position, 10)+" of the pickle: it "+g.Effect, g.Source, g.Record, at)
	}
	source := ""
	if len(r.Sources) > 0 {
		source = r.Sources[0].Name
	}
	for _, f := range r.Findings {
		level := "note"
		switch {
		case f.Code == "F_GLOBAL":
			continue // each is a result already
		case f.Safety():
			level = "error"
		}
		result(f.Code, level, Escape(f.Message), source, f.Path, -1)
	}
	b := append([]byte(nil), `{"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [
  {"tool": {"driver": {"name": "weightroom", "rules": [`...)
	for i, id := range rules {
		b = append(comma(b, i, ""), `{"id": `...)
		b = AppendString(b, id)
		b = append(b, `, "shortDescription": {"text": `...)
		b = AppendString(b, ruleText(id))
		b = append(b, `}}`...)
	}
	b = append(b, "]}},\n   \"results\": [\n    "...)
	_, err := w.Write(append(append(b, results...), "]}]}\n"...))
	return err
}

// ruleText is what a finding's code means.
func ruleText(code string) string {
	switch code {
	case "F_GLOBAL":
		return "names code outside the safe list"
	case "F_CODE":
		return "carries source text"
	case "F_TRAILING", "F_PREFIX":
		return "holds bytes that belong to nothing"
	case "F_CHECKSUM":
		return "a stored checksum does not match"
	case "F_NAME":
		return "a name is unsafe to show or write as it is"
	case "F_TENSOR_BAD":
		return "a tensor's description is impossible"
	case "E_AMBIGUOUS":
		return "two readers could see different contents"
	case "E_ENCRYPTED", "E_METHOD":
		return "a record cannot be decoded"
	}
	if code[0] == 'E' {
		return "the file could not be read to its end"
	}
	return "something to know about the file"
}
