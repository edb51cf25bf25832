package listing

import (
	"io"
	"strconv"

	"github.com/weightroom/weightroom/statedict"
)

// WriteScanJSON writes the document of `scan --json`.
func WriteScanJSON(w io.Writer, cp *statedict.Checkpoint, safe bool) error {
	b := append([]byte(nil), `{"safe": `...)
	b = strconv.AppendBool(b, safe)
	b = append(b, `, "globals": [`...)
	for i, g := range cp.Globals {
		b = append(comma(b, i, "\n  "), `{"name": `...)
		b = AppendString(b, g.String())
		b = append(b, `, "verdict": `...)
		b = AppendString(b, g.Verdict())
		b = append(b, `, "position": `...)
		b = strconv.AppendInt(b, g.Position, 10)
		b = append(b, `, "record": `...)
		b = AppendString(b, g.Record)
		b = append(b, '}')
	}
	b = append(b, "],\n \"findings\": "...)
	_, err := w.Write(append(appendFindings(b, cp.Findings), "}\n"...))
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
