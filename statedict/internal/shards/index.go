// Package shards knows how a checkpoint is spread over several files as Hugging Face does it: the index JSON that maps keys
// to files, the names of both, and which key goes where.
//
// Source: huggingface/huggingface_hub, src/huggingface_hub/serialization/_base.py (split_state_dict_into_shards_factory) and
// huggingface/transformers, modeling_utils.py (save_pretrained, which writes the index).
package shards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weightroom/weightroom/statedict/internal/header"
)

// MaxIndex is the longest index in bytes that ParseIndex takes.
const MaxIndex = 64 << 20

// maxDepth bounds the nesting of what an index holds beside its map.
const maxDepth = 64

// Index is a parsed index. Key order is that of the JSON, which the usual writer sorts.
type Index struct {
	Files     []string // in order of first mention; plain base names only
	Entries   []Entry
	Metadata  []Pair // the members of metadata, total_size included
	TotalSize int64  // metadata.total_size in bytes, -1 where it is missing or no whole number
	Findings  []Finding
}

// Entry maps a key to a file.
type Entry struct {
	Key  string
	File int // position in Index.Files
}

// Pair is one member of metadata with its value as JSON text.
type Pair struct{ Key, JSON string }

// Finding is something about an index, or about its files, that does not stop it from being used.
type Finding struct {
	Code string
	Key  string // the key concerned, or ""
	File string // the file concerned as the index spells it, or ""
	Text string
}

// Codes of Error and Finding, in the project's common vocabulary.
const (
	CodeFormat = "E_FORMAT" // not an index
	CodeHeader = "E_HEADER" // JSON that breaks a rule
	CodeLimit  = "E_LIMIT"  // a limit of ours

	FindingName   = "F_NAME"          // a file name that is no plain sibling; its entries are left out
	FindingShard  = "F_SHARD"         // index and files disagree
	FindingTwice  = "F_DUPKEY"        // one key in two files
	FindingTotals = "F_SIZE_MISMATCH" // total_size is wrong
)

// Error says why a document is no index.
type Error = header.Error

func fault(code string, off int64, format string, args ...any) *Error {
	return header.Fault("shard index", code, off, format, args...)
}

var quote = header.Quote

// ParseIndex reads an index. A key that appears twice, at any level, is an error; a file name that could lead out of the
// folder is a finding, and nothing of the result names it but that finding. Errors are *Error.
func ParseIndex(doc []byte) (*Index, error) {
	if len(doc) > MaxIndex {
		return nil, fault(CodeLimit, 0, "%d bytes, limit %d", len(doc), MaxIndex)
	}
	if !utf8.Valid(doc) {
		return nil, fault(CodeHeader, 0, "not UTF-8")
	}
	p := parser{doc: doc, dec: json.NewDecoder(bytes.NewReader(doc))}
	p.dec.UseNumber()
	x := &Index{TotalSize: -1}
	if err := p.index(x); err != nil {
		return nil, err
	}
	if _, err := p.dec.Token(); err != io.EOF {
		return nil, fault(CodeHeader, p.dec.InputOffset(), "something follows the closing brace")
	}
	return x, nil
}

type parser struct {
	doc []byte
	dec *json.Decoder
}

func (p *parser) token() (json.Token, error) {
	t, err := p.dec.Token()
	if err == nil {
		return t, nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, fault(CodeHeader, int64(len(p.doc)), "the JSON ends early")
	}
	return nil, fault(CodeHeader, p.dec.InputOffset(), "malformed JSON")
}

// members calls member for each key of an object, whose value member must read; what names the object in errors.
func (p *parser) members(what string, member func(key string) error) error {
	t, err := p.token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fault(CodeFormat, p.dec.InputOffset(), "%s is no object", what)
	}
	seen := make(map[string]struct{})
	for p.dec.More() {
		at := p.dec.InputOffset()
		t, err := p.token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fault(CodeHeader, at, "malformed JSON")
		}
		if _, twice := seen[key]; twice {
			return fault(CodeHeader, at, "%s: key %s appears twice", what, quote(key))
		}
		seen[key] = struct{}{}
		if err := member(key); err != nil {
			return err
		}
	}
	_, err = p.token()
	return err
}

func (p *parser) index(x *Index) error {
	hasMap := false
	err := p.members("the document", func(key string) error {
		switch key {
		case "weight_map":
			hasMap = true
			return p.weightMap(x)
		case "metadata":
			return p.metadata(x)
		}
		_, err := p.value()
		return err
	})
	if err == nil && !hasMap {
		return fault(CodeFormat, 0, "no weight_map")
	}
	return err
}

func (p *parser) weightMap(x *Index) error {
	known := make(map[string]int)
	return p.members("weight_map", func(key string) error {
		at := p.dec.InputOffset()
		t, err := p.token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok {
			return fault(CodeHeader, at, "weight_map: key %s: the file is no string", quote(key))
		}
		if problem := nameProblem(name); problem != "" {
			x.Findings = append(x.Findings, Finding{FindingName, key, name,
				fmt.Sprintf("key %s is said to be in file %s, which %s", quote(key), quote(name), problem)})
			return nil
		}
		n, ok := known[name]
		if !ok {
			n = len(x.Files)
			known[name] = n
			x.Files = append(x.Files, name)
		}
		x.Entries = append(x.Entries, Entry{key, n})
		return nil
	})
}

func (p *parser) metadata(x *Index) error {
	return p.members("metadata", func(key string) error {
		text, err := p.value()
		if err != nil {
			return err
		}
		x.Metadata = append(x.Metadata, Pair{key, text})
		if key == "total_size" {
			x.TotalSize = wholeNumber(text)
		}
		return nil
	})
}

// wholeNumber reads a count of bytes, which some writers spell as a float; -1 for anything else.
func wholeNumber(text string) int64 {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f >= math.MaxInt64 || f != math.Trunc(f) {
		return -1
	}
	return int64(f)
}

// value reads any value and returns its JSON text. Duplicate keys are errors in there as well.
func (p *parser) value() (string, error) {
	start := p.dec.InputOffset()
	type open struct {
		keys  map[string]struct{} // nil in an array
		isKey bool                // the next string is a key
	}
	var stack []open
	for {
		at := p.dec.InputOffset()
		t, err := p.token()
		if err != nil {
			return "", err
		}
		top := len(stack) - 1
		switch d, _ := t.(json.Delim); {
		case d == '{' || d == '[':
			if len(stack) >= maxDepth {
				return "", fault(CodeHeader, at, "nested more than %d deep", maxDepth)
			}
			o := open{isKey: d == '{'}
			if d == '{' {
				o.keys = make(map[string]struct{})
			}
			stack = append(stack, o)
			continue
		case d == '}' || d == ']':
			stack = stack[:top]
		case top >= 0 && stack[top].isKey:
			key, _ := t.(string)
			if _, twice := stack[top].keys[key]; twice {
				return "", fault(CodeHeader, at, "key %s appears twice", quote(key))
			}
			stack[top].keys[key] = struct{}{}
			stack[top].isKey = false
			continue
		}
		if len(stack) == 0 {
			return strings.TrimLeft(string(p.doc[start:p.dec.InputOffset()]), ": \t\r\n"), nil
		}
		stack[len(stack)-1].isKey = stack[len(stack)-1].keys != nil
	}
}
