package listing

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"

	"github.com/weightroom/weightroom/statedict"
)

// Text are the choices of WriteText.
type Text struct {
	Tree       bool // group by dotted parts
	AllObjects bool // not only the first few
	Colour     bool
}

// fewObjects is how many objects are shown without being asked: an optimizer has hundreds.
const fewObjects = 20

// maxShown is how many characters of a name or value a line shows.
const maxShown = 256

type styles struct{ dim, head, warn func(string) string }

func (t Text) styles() styles {
	if !t.Colour {
		same := func(s string) string { return s }
		return styles{same, same, same}
	}
	style := func(s lipgloss.Style) func(string) string { return func(t string) string { return s.Render(t) } }
	return styles{
		dim:  style(lipgloss.NewStyle().Faint(true)),
		head: style(lipgloss.NewStyle().Bold(true)),
		warn: style(lipgloss.NewStyle().Foreground(lipgloss.Yellow)),
	}
}

// WriteText writes the listing for people: the entries, the objects, what is to know about the file, and the totals.
// Names from the file are escaped and cut at 256 characters.
func (l *Listing) WriteText(out io.Writer, t Text) error {
	w := bufio.NewWriterSize(out, 64<<10)
	s := t.styles()
	if t.Tree {
		l.writeTree(w, s)
	} else {
		l.writeTable(w, s)
	}
	l.writeObjects(w, t, s)
	for _, f := range l.cp.Findings {
		line := f.Code + "  " + f.Message
		if f.Path != "" {
			line += "  " + strconv.Quote(f.Path)
		}
		fmt.Fprintf(w, "%s\n", s.warn(show(line)))
	}
	fmt.Fprintf(w, "%s\n", s.head(l.totals()))
	return w.Flush()
}

// show escapes and cuts text from a file.
func show(text string) string {
	n := 0
	for i := range text {
		if n++; n > maxShown {
			return Escape(text[:i]) + "…"
		}
	}
	return Escape(text)
}

// table collects rows and writes them with aligned columns.
type table struct {
	rows  [][]string
	right []bool // columns aligned to the right
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// widest is the longest key, in columns, that others are aligned to.
const widest = 100

// write prints the rows; the first is the heading. What stands in the last column is dim.
func (t *table) write(w io.Writer, s styles) {
	var width []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(width) {
				width = append(width, 0)
			}
			if n := columns(c); n > width[i] && (i > 0 || n <= widest) {
				width[i] = n
			}
		}
	}
	var b strings.Builder
	for n, r := range t.rows {
		b.Reset()
		for i, c := range r {
			pad := strings.Repeat(" ", max(0, width[i]-columns(c)))
			switch {
			case i < len(t.right) && t.right[i]:
				c = pad + c
			case i < len(r)-1:
				if n == 0 {
					c = s.dim(c)
				}
				c += pad
			}
			if i > 0 && c != "" {
				b.WriteString("  ")
			}
			if n > 0 && i == len(r)-1 && i > 0 {
				c = s.dim(c)
			}
			b.WriteString(c)
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// columns is the width of s on a terminal.
func columns(s string) int {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return lipgloss.Width(s)
		}
	}
	return len(s)
}

func (l *Listing) writeTable(w io.Writer, s styles) {
	if len(l.entries) == 0 {
		return
	}
	t := table{right: []bool{false, false, false, true}}
	t.add("KEY", "DTYPE", "SHAPE", "SIZE", "")
	first := make(map[statedict.StorageID]int)
	for _, i := range l.entries {
		e := &l.cp.Entries[i]
		t.add(show(l.below(e.Path())), DType(e), Shape(e.Shape), Size(NBytes(e)), l.note(i, first))
	}
	t.write(w, s)
	fmt.Fprintln(w)
}

// below is path as seen from the mapping that was asked for, as its keys are in a recipe.
func (l *Listing) below(path string) string {
	if l.at != "" {
		path = strings.TrimPrefix(strings.TrimPrefix(path, l.at), ".")
	}
	return path
}

// note says what is unusual about entry i. first remembers who was seen with a storage.
func (l *Listing) note(i int, first map[statedict.StorageID]int) string {
	e := &l.cp.Entries[i]
	var notes []string
	if in := e.Info; in != nil {
		if in.Bad != "" {
			return "bad: " + show(in.Bad)
		}
		if in.Layout != "" {
			notes = append(notes, in.Layout)
		}
		if in.QScheme != "" {
			notes = append(notes, show(in.QScheme))
		}
		if in.Class != "" {
			notes = append(notes, show(in.Class))
		}
		if in.Device != "" {
			notes = append(notes, show(in.Device))
		}
	}
	if e.Storage != statedict.NoStorage {
		st := &l.cp.Storages[e.Storage]
		if st.Missing != "" {
			notes = append(notes, "bad: "+show(st.Missing))
		}
		if st.Location != "" && st.Location != "cpu" {
			notes = append(notes, show(st.Location))
		}
		if j, ok := first[e.Storage]; ok {
			verb := "shares storage with "
			if o := &l.cp.Entries[j]; o.Offset == e.Offset && slices.Equal(o.Shape, e.Shape) && slices.Equal(o.Stride, e.Stride) {
				verb = "tied to "
			}
			notes = append(notes, verb+show(l.below(l.cp.Entries[j].Path())))
		} else {
			first[e.Storage] = i
		}
		if n := NBytes(e); st.NBytes > n && st.NBytes-n > 64 {
			notes = append(notes, "view of a storage of "+Size(st.NBytes))
		}
		if !e.Contiguous() {
			notes = append(notes, "stride "+Shape(e.Stride))
		}
	}
	return strings.Join(notes, ", ")
}

// Shape prints extents as Python does: [64, 3, 7, 7].
func Shape(v []int64) string {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',', ' ')
		}
		b = strconv.AppendInt(b, x, 10)
	}
	return string(append(b, ']'))
}

func (l *Listing) writeObjects(w io.Writer, t Text, s styles) {
	tab := table{}
	tab.add("OBJECT", "TYPE", "VALUE")
	more := 0
	for o := range l.cp.Objects() {
		if !within(o.Path, l.at) {
			continue
		}
		if len(tab.rows) > fewObjects && !t.AllObjects {
			more++
			continue
		}
		value := ""
		switch {
		case o.IsRef:
			value = "the same as " + show(o.Ref)
		case o.HasValue:
			value = show(string(appendValue(nil, o.Value)))
		}
		path := show(l.below(o.Path))
		if path == "" {
			path = "(itself)"
		}
		tab.add(path, show(o.Type), value)
	}
	if len(tab.rows) == 1 {
		return
	}
	tab.write(w, s)
	if more > 0 {
		fmt.Fprintf(w, "%s\n", s.dim(fmt.Sprintf("… and %d more, see --objects", more)))
	}
	fmt.Fprintln(w)
}

// totals is the last line: "62 tensors, 46.8 MB in 62 storages: 41 float32, 21 int64 (torch-zip)".
func (l *Listing) totals() string {
	var bytes int64
	extra := ""
	counts := make(map[string]int)
	var order []string
	storages := make(map[statedict.StorageID]bool)
	for _, i := range l.entries {
		e := &l.cp.Entries[i]
		name := DType(e)
		if counts[name] == 0 {
			order = append(order, name)
		}
		counts[name]++
		views := []statedict.StorageID{e.Storage}
		if e.Info != nil {
			for k := range e.Info.Parts {
				views = append(views, e.Info.Parts[k].Storage)
			}
		}
		for _, id := range views {
			if id != statedict.NoStorage && !storages[id] {
				storages[id] = true
				bytes += l.cp.Storages[id].NBytes
			}
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return counts[b] - counts[a] })
	for i, name := range order {
		order[i] = fmt.Sprintf("%d %s", counts[name], name)
	}
	if unseen := l.unseen(); unseen > 0 {
		extra = fmt.Sprintf("; no tensor shows %s of that: edit --compact leaves it out", Size(unseen))
	}
	line := fmt.Sprintf("%s, %s in %s", count(len(l.entries), "tensor"), Size(bytes), count(len(storages), "storage"))
	if len(l.entries) < len(l.cp.Entries) {
		line = fmt.Sprintf("%d of %s", len(l.entries), strings.Replace(line, count(len(l.entries), "tensor"), count(len(l.cp.Entries), "tensor"), 1))
	}
	if len(order) > 0 {
		line += ": " + strings.Join(order, ", ")
	}
	return line + " (" + string(l.cp.Format) + ")" + extra
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// unseen is how many bytes of the storages lie before the first element that tensors show or behind the last one: what they
// carry along for nothing. It is 0 where that is little, or where only some of the tensors are listed.
func (l *Listing) unseen() (n int64) {
	if len(l.entries) < len(l.cp.Entries) {
		return 0
	}
	type reach struct {
		lo, hi int64
		whole  bool // by something that is no plain view
	}
	seen := make(map[statedict.StorageID]reach)
	for i := range l.cp.Entries {
		e := &l.cp.Entries[i]
		if e.Info != nil {
			for k := range e.Info.Parts {
				seen[e.Info.Parts[k].Storage] = reach{whole: true}
			}
		}
		if e.Storage == statedict.NoStorage || e.Numel() == 0 {
			continue
		}
		size := e.DType.Size()
		last := e.Offset
		for d, dim := range e.Shape {
			last += (dim - 1) * e.Stride[d]
		}
		r, ok := seen[e.Storage]
		if !ok {
			r.lo, r.hi = e.Offset*size, (last+1)*size
		}
		r.lo, r.hi = min(r.lo, e.Offset*size), max(r.hi, (last+1)*size)
		r.whole = r.whole || e.Info != nil || e.DType.PerByte() != 1 // with its Bad ones: their numbers prove nothing
		seen[e.Storage] = r
	}
	total := int64(0)
	for id, r := range seen {
		if id == statedict.NoStorage {
			continue
		}
		has := l.cp.Storages[id].NBytes
		total += has
		if !r.whole && r.hi <= has {
			n += has - (r.hi - r.lo)
		}
	}
	if n < 1<<10 || n < total/10 {
		return 0
	}
	return n
}
