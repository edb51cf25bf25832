package message

import "encoding/json"

// DiffRequest compares the checkpoint after a recipe with what is attached under a name, with Values element by element.
type DiffRequest struct {
	Handle  int
	Recipe  json.RawMessage
	Against string
	Values  bool
}

// Diffed are the differences of two files. Rows are at most maxDiff of each kind, in the order of the files; the counts are
// of all. A tensor may differ in several ways and is counted for each.
type Diffed struct {
	Prefix               string // in front of a row's key in the path of the open file, with its dot
	Rows                 []DiffRow
	Here, There          int // keys of one side alone
	Shape, DType, Values int
	Equal                int  // keys of both sides in which no difference was found
	Compared             bool // the values were read
}

// DiffRow is a key that differs. Of a tensor that one side alone has, only that side's fields are filled.
type DiffRow struct {
	Key                   string
	Kind                  string   // "here", "there" or "changed"
	What                  []string `json:",omitempty"` // "shape", "dtype", "values"
	HereShape, ThereShape []int64  `json:",omitempty"`
	HereDType, ThereDType string   `json:",omitempty"`
	MaxAbs, Cosine        *float64 `json:",omitempty"`
	Differ, Numel         int64    `json:",omitempty"` // elements
}
