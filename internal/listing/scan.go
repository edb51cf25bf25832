package listing

import (
	"io"
	"strconv"
	"strings"

	"github.com/weightroom/weightroom/statedict"
)

// WriteScanJSON writes the document of `scan --json`. "nested", "calls" and "source" say more than a gate needs.
func WriteScanJSON(w io.Writer, r *statedict.ScanReport) error {
	b := append([]byte(nil), `{"safe": `...)
	b = strconv.AppendBool(b, r.Safe())
	b = append(b, `, "format": `...)
	b = AppendString(b, string(r.Format))
	b = append(b, ", \"globals\": ["...)
	for i := range r.Globals {
		g := &r.Globals[i]
		b = append(comma(b, i, "\n  "), `{"name": `...)
		b = AppendString(b, g.String())
		b = append(b, `, "verdict": `...)
		b = AppendString(b, g.Verdict())
		b = append(b, `, "position": `...)
		b = strconv.AppendInt(b, g.Position, 10)
		b = append(b, `, "record": `...)
		b = AppendString(b, g.Record)
		b = append(b, `, "source": `...)
		b = AppendString(b, g.Source)
		b = append(b, `, "nested": `...)
		b = strconv.AppendInt(b, int64(g.Depth), 10)
		b = append(b, `, "count": `...)
		b = strconv.AppendInt(b, int64(g.Count), 10)
		b = append(b, `, "called": `...)
		b = strconv.AppendBool(b, g.Called)
		if g.Effect != "" {
			b = append(b, `, "effect": `...)
			b = AppendString(b, g.Effect)
		}
		b = append(b, '}')
	}
	b = append(b, "],\n \"code\": ["...)
	for i, c := range r.Code {
		b = append(comma(b, i, "\n  "), `{"name": `...)
		b = AppendString(b, c.Name)
		b = append(b, `, "lines": `...)
		b = strconv.AppendInt(b, int64(strings.Count(strings.TrimSuffix(c.Text, "\n"), "\n")+1), 10)
		b = append(b, '}')
	}
	b = append(b, "],\n \"findings\": "...)
	_, err := w.Write(append(appendFindings(b, r.Findings), "}\n"...))
	return err
}

func appendFindings(b []byte, findings []statedict.Finding) []byte {
	b = append(b, '[')
	for i, f := range findings {
		b = append(comma(b, i, "\n  "), `{"code": `...)
		b = AppendString(b, f.Code)
		b = append(b, `, "message": `...)
		b = AppendString(b, f.Message)
		b = append(b, `, "path": `...)
		b = AppendString(b, f.Path)
		b = append(b, '}')
	}
	return append(b, ']')
}
