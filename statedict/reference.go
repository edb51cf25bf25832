package statedict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/weightroom/weightroom/statedict/internal/shards"
)

// ParseKeyList reads a reference that is no checkpoint: a shard index, whose weight map gives keys alone, or a JSON object
// of key to shape ({"fc.bias": [10]}; null where the shape is not known), or a JSON list of keys. Order is the document's.
func ParseKeyList(doc []byte) (*KeyList, error) {
	if index, err := shards.ParseIndex(doc); err == nil && len(index.Entries) > 0 {
		list := &KeyList{}
		for _, e := range index.Entries {
			list.Keys = append(list.Keys, KeyInfo{Key: e.Key})
		}
		return list, nil
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	t, err := dec.Token()
	if err != nil {
		return nil, keyListError(dec, err)
	}
	list := &KeyList{}
	switch t {
	case json.Delim('['):
		for dec.More() {
			var key string
			if err := dec.Decode(&key); err != nil {
				return nil, keyListError(dec, err)
			}
			list.Keys = append(list.Keys, KeyInfo{Key: key})
		}
	case json.Delim('{'):
		seen := map[string]bool{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return nil, keyListError(dec, err)
			}
			key := name.(string)
			if seen[key] {
				return nil, keyListError(dec, fmt.Errorf("key %q appears twice", key))
			}
			seen[key] = true
			var shape []int64
			if err := dec.Decode(&shape); err != nil {
				return nil, keyListError(dec, fmt.Errorf("key %q: %w", key, err))
			}
			list.Keys = append(list.Keys, KeyInfo{Key: key, Shape: shape})
		}
	default:
		return nil, keyListError(dec, errors.New("neither an object of key to shape nor a list of keys"))
	}
	if _, err := dec.Token(); err != nil {
		return nil, keyListError(dec, err)
	}
	return list, nil
}

func keyListError(dec *json.Decoder, err error) error {
	return &FormatError{Code: "E_FORMAT", Format: "key list", Offset: dec.InputOffset(), Msg: err.Error(),
		Hint: `a reference is a checkpoint, a shard index, or JSON such as {"fc.weight": [10, 512]}`}
}
