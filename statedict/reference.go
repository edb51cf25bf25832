package statedict

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/weightroom/weightroom/statedict/internal/safetensors"
)

// ParseKeyList reads a list of keys from JSON, in its order:
//
//	{"fc.weight": [10, 4], "fc.bias": null}                             key to shape, null where it is not known
//	{"fc.weight": {"dtype": "F32", "shape": [10, 4], …}, …}             the header of a safetensors file
//	{"metadata": {…}, "weight_map": {"fc.weight": "a.safetensors"}}     an index, which knows keys only
//	["fc.weight", {"key": "fc.bias", "shape": [10], "dtype": "float32"}, ["fc.x", [1]]]
//
// The error is a *FormatError with the byte offset.
func ParseKeyList(doc []byte) (*KeyList, error) {
	doc = bytes.TrimPrefix(doc, []byte("\ufeff"))
	p := &referenceParser{dec: json.NewDecoder(bytes.NewReader(doc))}
	p.dec.UseNumber()
	list, err := p.document()
	if err == nil && p.dec.More() {
		err = p.fail("more text behind the list")
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

// maxKeyList bounds the text of a list of keys, in bytes.
const maxKeyList = 64 << 20

// ReadKeyList reads the list of keys in a source that is no whole checkpoint: a JSON document as ParseKeyList takes it, or the
// front of a safetensors file, whose header is there. ok is false when it is neither.
func ReadKeyList(src Source) (list *KeyList, ok bool, err error) {
	front := make([]byte, min(src.Size, 64))
	if _, err := src.R.ReadAt(front, 0); err != nil && err != io.EOF {
		return nil, false, &SourceError{Source: src.Name, Err: err}
	}
	off, n := int64(0), src.Size
	if len(front) > 8 && front[8] == '{' {
		if size := binary.LittleEndian.Uint64(front); size <= uint64(src.Size-8) {
			off, n = 8, int64(size)
		}
	}
	if start := bytes.TrimLeft(front[off:], " \t\r\n\ufeff"); off == 0 && (len(start) == 0 || start[0] != '{' && start[0] != '[') {
		return nil, false, nil
	}
	if n > maxKeyList {
		return nil, true, &LimitError{Limit: "reference bytes", Got: n, Max: maxKeyList, Offset: -1}
	}
	doc := make([]byte, n)
	if _, err := src.R.ReadAt(doc, off); err != nil && err != io.EOF {
		return nil, true, &SourceError{Source: src.Name, Err: err}
	}
	list, err = ParseKeyList(doc)
	return list, true, err
}

type referenceParser struct{ dec *json.Decoder }

func (p *referenceParser) fail(msg string) error {
	return &FormatError{Code: "E_FORMAT", Format: "reference", Offset: p.dec.InputOffset(), Msg: msg,
		Hint: `write {"key": [shape], …}, or give a checkpoint, a safetensors header or an index`}
}

func (p *referenceParser) token() (json.Token, error) {
	tok, err := p.dec.Token()
	if err != nil {
		return nil, p.fail("not JSON: " + err.Error())
	}
	return tok, nil
}

func (p *referenceParser) document() (*KeyList, error) {
	tok, err := p.token()
	if err != nil {
		return nil, err
	}
	list := &KeyList{}
	switch tok {
	case json.Delim('{'):
		err = p.object(list)
	case json.Delim('['):
		err = p.array(list)
	default:
		err = p.fail("a list of keys is an object or an array")
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, k := range list.Keys {
		if seen[k.Key] {
			return nil, p.fail(fmt.Sprintf("the key %q is given twice", k.Key))
		}
		seen[k.Key] = true
	}
	if len(list.Keys) == 0 {
		return nil, p.fail("it lists no keys")
	}
	return list, nil
}

func (p *referenceParser) object(list *KeyList) error {
	for p.dec.More() {
		tok, err := p.token()
		if err != nil {
			return err
		}
		key := tok.(string)
		var raw json.RawMessage
		if err := p.dec.Decode(&raw); err != nil {
			return p.fail("not JSON: " + err.Error())
		}
		isObject := bytes.HasPrefix(raw, []byte("{"))
		switch {
		case key == "__metadata__" && isObject:
			continue
		case key == "weight_map" && isObject:
			// An index: nothing else in it is a key.
			list.Keys = nil
			inner := &referenceParser{dec: json.NewDecoder(bytes.NewReader(raw))}
			inner.dec.UseNumber()
			if _, err := inner.token(); err != nil {
				return err
			}
			if err := inner.names(list); err != nil {
				return err
			}
			for p.dec.More() {
				if err := p.dec.Decode(&raw); err != nil {
					return p.fail("not JSON: " + err.Error())
				}
			}
			_, err := p.token()
			return err
		case key == "metadata" && isObject && !bytes.Contains(raw, []byte(`"shape"`)):
			continue // of an index; its weight_map follows
		}
		k, err := p.info(key, raw)
		if err != nil {
			return err
		}
		list.Keys = append(list.Keys, k)
	}
	_, err := p.token()
	return err
}

// names reads the keys of an object whatever their values are.
func (p *referenceParser) names(list *KeyList) error {
	for p.dec.More() {
		tok, err := p.token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := p.dec.Decode(&raw); err != nil {
			return p.fail("not JSON: " + err.Error())
		}
		list.Keys = append(list.Keys, KeyInfo{Key: tok.(string)})
	}
	return nil
}

// info reads what stands beside a key: a shape, null, or an object with shape and dtype.
func (p *referenceParser) info(key string, raw json.RawMessage) (KeyInfo, error) {
	k := KeyInfo{Key: key}
	shape := raw
	if bytes.HasPrefix(raw, []byte("{")) {
		var o struct {
			Shape json.RawMessage
			DType *string
		}
		if err := json.Unmarshal(raw, &o); err != nil {
			return k, p.fail(fmt.Sprintf("%q: not a shape and a dtype", key))
		}
		shape = o.Shape
		if o.DType != nil {
			d, ok := ParseDType(*o.DType)
			if !ok {
				d, ok = safetensorsDType(*o.DType)
			}
			if !ok {
				return k, p.fail(fmt.Sprintf("%q: unknown dtype %q", key, *o.DType))
			}
			k.DType = d
		}
	}
	if len(shape) == 0 || string(shape) == "null" {
		return k, nil
	}
	if err := json.Unmarshal(shape, &k.Shape); err != nil || k.Shape == nil {
		return k, p.fail(fmt.Sprintf("%q: a shape is a list of whole numbers", key))
	}
	for _, n := range k.Shape {
		if n < 0 {
			return k, p.fail(fmt.Sprintf("%q: a dimension of %d", key, n))
		}
	}
	return k, nil
}

func safetensorsDType(code string) (DType, bool) {
	for _, d := range castTargets() {
		if c, ok := safetensors.CodeOf(d); ok && c == strings.ToUpper(code) {
			return d, true
		}
	}
	return 0, false
}

func (p *referenceParser) array(list *KeyList) error {
	for p.dec.More() {
		var raw json.RawMessage
		if err := p.dec.Decode(&raw); err != nil {
			return p.fail("not JSON: " + err.Error())
		}
		var pair []json.RawMessage
		var named struct{ Key, Name *string }
		var key string
		switch {
		case json.Unmarshal(raw, &key) == nil:
			list.Keys = append(list.Keys, KeyInfo{Key: key})
			continue
		case json.Unmarshal(raw, &pair) == nil && len(pair) == 2 && json.Unmarshal(pair[0], &key) == nil:
			raw = pair[1]
		case json.Unmarshal(raw, &named) == nil && named.Key != nil:
			key = *named.Key
		case named.Name != nil:
			key = *named.Name
		default:
			return p.fail("an entry is a key, a pair of key and shape, or an object with key and shape")
		}
		k, err := p.info(key, raw)
		if err != nil {
			return err
		}
		list.Keys = append(list.Keys, k)
	}
	_, err := p.token()
	return err
}
