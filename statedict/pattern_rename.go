package statedict

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict/internal/pickle"
)

// renamer is the from and to of a rename, compiled.
type renamer struct {
	prefix string // from ends in a dot: the whole group below it
	rules  []renameRule
	to     template
	toText string // with a prefix
	out    []byte // scratch of rename
	names  pickle.Texts
}

var noGroups = regexp.MustCompile("")

type renameRule struct {
	re    *expr
	whole bool   // a glob: it has to match the key from end to end
	runs  []bool // per group of a glob: ** made it
}

// compileRename reads from as a pattern; a from that ends in a dot and has no wildcard names a prefix. In to, $1 or ${1}
// is what the first group (of a glob: the first wildcard outside braces) matched, ${name} a named group, $$ a dollar.
func compileRename(from, to string) (*renamer, error) {
	r := &renamer{}
	text, isExpr := strings.CutPrefix(from, "re:")
	if !isExpr && strings.HasSuffix(from, ".") {
		open, _, _, err := firstBrace(from)
		if lit, ok := literalGlob(from); ok && open < 0 && err == nil {
			t, err := parseTemplate(to, noGroups)
			if err != nil {
				return nil, err
			}
			r.prefix, r.toText = lit, string(t.expand(nil, "", nil, nil))
			return r, nil
		}
	}
	if isExpr {
		re, err := compileExpr(text)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", from, err)
		}
		r.rules = []renameRule{{re: re}}
	} else {
		globs, err := expandGlob(from)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", from, err)
		}
		for _, g := range globs {
			text, runs := globExpr(g)
			re, err := compileExpr(text)
			if err != nil {
				return nil, fmt.Errorf("pattern %q: %w", from, err)
			}
			r.rules = append(r.rules, renameRule{re: re, whole: true, runs: runs})
		}
	}
	for _, rule := range r.rules {
		t, err := parseTemplate(to, rule.re.Regexp)
		if err != nil {
			return nil, err
		}
		r.to = t
	}
	return r, nil
}

// rename answers the new key, and whether from matched. One goroutine at a time may call it.
func (r *renamer) rename(key string) (string, bool) {
	if r.prefix != "" {
		rest, ok := strings.CutPrefix(key, r.prefix)
		if !ok || rest == "" {
			return key, false
		}
		return r.names.Join(r.toText, rest), true
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if !strings.HasPrefix(key, rule.re.prefix) {
			continue
		}
		if rule.whole {
			if m := rule.re.FindStringSubmatchIndex(key); m != nil {
				r.out = r.to.expand(r.out[:0], key, m, rule.runs)
				return r.names.Add(r.out), true
			}
			continue
		}
		if rule.re.prefix != "" { // pinned to the start: one match at most
			if m := rule.re.FindStringSubmatchIndex(key); m != nil {
				r.out = r.to.expand(append(r.out[:0], key[:m[0]]...), key, m, nil)
				r.out = append(r.out, key[m[1]:]...)
				return r.names.Add(r.out), true
			}
			continue
		}
		all := rule.re.FindAllStringSubmatchIndex(key, -1)
		if all == nil {
			continue
		}
		out, from := r.out[:0], 0
		for _, m := range all {
			out = append(out, key[from:m[0]]...)
			out = r.to.expand(out, key, m, nil)
			from = m[1]
		}
		r.out = append(out, key[from:]...)
		return r.names.Add(r.out), true
	}
	return key, false
}

// template is a rename target: texts and group numbers in turn.
type template []templatePart

type templatePart struct {
	text  string
	group int // 0 for text
}

func parseTemplate(to string, re *regexp.Regexp) (template, error) {
	var t template
	for to != "" {
		text, rest, found := strings.Cut(to, "$")
		if text != "" {
			t = append(t, templatePart{text: text})
		}
		if !found {
			break
		}
		name := ""
		switch {
		case strings.HasPrefix(rest, "$"):
			t, to = append(t, templatePart{text: "$"}), rest[1:]
			continue
		case strings.HasPrefix(rest, "{"):
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				return nil, fmt.Errorf("target %q: ${ is not closed", to)
			}
			name, to = rest[1:end], rest[end+1:]
		default:
			n := 0
			for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
				n++
			}
			name, to = rest[:n], rest[n:]
		}
		group, err := strconv.Atoi(name)
		if err != nil {
			group = re.SubexpIndex(name)
		}
		if name == "" || group < 1 || group > re.NumSubexp() {
			return nil, fmt.Errorf("target uses $%s, but from has %d groups (write $$ for a dollar)", name, re.NumSubexp())
		}
		t = append(t, templatePart{group: group})
	}
	return t, nil
}

// expand appends the target for the match m of key. An empty run (a ** that matched no part) takes a dot beside it along.
func (t template) expand(out []byte, key string, m []int, runs []bool) []byte {
	skipDot := false
	for _, p := range t {
		text := p.text
		if p.group > 0 {
			text = ""
			if m[2*p.group] >= 0 {
				text = key[m[2*p.group]:m[2*p.group+1]]
			}
			if text == "" && p.group <= len(runs) && runs[p.group-1] {
				skipDot = true
				continue
			}
		}
		if skipDot {
			skipDot = false
			if cut, ok := strings.CutPrefix(text, "."); ok {
				text = cut
			} else if len(out) > 0 && out[len(out)-1] == '.' {
				out = out[:len(out)-1]
			}
		}
		out = append(out, text...)
	}
	if skipDot && len(out) > 0 && out[len(out)-1] == '.' {
		out = out[:len(out)-1]
	}
	return out
}

// globExpr is the anchored regular expression of a glob without braces, one group per wildcard; runs tells which of the
// groups are a **.
func globExpr(g string) (text string, runs []bool) {
	var b strings.Builder
	b.WriteString(`^(?s:`)
	parts := strings.Split(g, ".")
	for i, part := range parts {
		last := i == len(parts)-1
		if part == "**" {
			runs = append(runs, true)
			switch {
			case i == 0 && last:
				b.WriteString(`(.*)`)
			case i == 0:
				b.WriteString(`(?:(.*)\.)?`)
			default:
				b.WriteString(`(?:\.(.*))?`)
			}
			continue
		}
		if i > 0 && !(i == 1 && parts[0] == "**") {
			b.WriteString(`\.`)
		}
		runs = partExpr(&b, part, runs)
	}
	b.WriteString(`)$`)
	return b.String(), runs
}

func partExpr(b *strings.Builder, part string, runs []bool) []bool {
	for i := 0; i < len(part); {
		switch c := part[i]; c {
		case '*':
			for i < len(part) && part[i] == '*' {
				i++
			}
			b.WriteString(`([^.]*)`)
			runs = append(runs, false)
		case '?':
			i++
			b.WriteString(`([^.])`)
			runs = append(runs, false)
		case '[':
			end := i + 1
			for end < len(part) && part[end] != ']' {
				if part[end] == '\\' {
					end++
				}
				end++
			}
			class := part[i+1 : end]
			b.WriteString("([")
			if class[0] == '!' || class[0] == '^' {
				b.WriteString("^.")
				class = class[1:]
			}
			b.WriteString(strings.ReplaceAll(class, "[", `\[`))
			b.WriteString("])")
			runs = append(runs, false)
			i = end + 1
		case '\\':
			_, n := utf8.DecodeRuneInString(part[i+1:])
			b.WriteString(regexp.QuoteMeta(part[i+1 : i+1+n]))
			i += 1 + n
		default:
			n := i + 1
			for n < len(part) && !strings.ContainsRune(`*?[\`, rune(part[n])) {
				n++
			}
			b.WriteString(regexp.QuoteMeta(part[i:n]))
			i = n
		}
	}
	return runs
}
