package statedict

// Report says what a recipe did and what a plan will write. Its JSON form is that of `weightroom edit --json`.
type Report struct {
	Files          []FileReport `json:"files"`
	Sources        []FileReport `json:"sources,omitempty"` // what was read, of the checkpoint that is edited
	At             string       `json:"at"`                // path of the mapping that the operations worked on
	Ops            []OpReport   `json:"ops"`
	DroppedObjects []string     `json:"dropped_objects"`
	Cast           CastReport   `json:"cast"`
	Warnings       []string     `json:"warnings"`
}

// FileReport is a file, of a plan or read; Size is in bytes.
type FileReport struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// OpReport is one step. Renamed pairs are old and new key; Touched lists the keys that a step removed, changed or added
// where it renamed none.
type OpReport struct {
	Op         string      `json:"op"`
	KeysBefore int         `json:"keys_before"`
	KeysAfter  int         `json:"keys_after"`
	Renamed    [][2]string `json:"renamed"`
	Touched    []string    `json:"touched,omitempty"`
}

// CastReport counts elements that a cast could not keep. It is filled when the elements have been read: by a dry run
// that asks for it, or by the export itself.
type CastReport struct {
	Overflowed int64 `json:"overflowed"` // finite values that became infinite or NaN
	Flushed    int64 `json:"flushed"`    // non-zero values that became zero
	NaNs       int64 `json:"nan_payloads,omitempty"`
}

// Add adds what another report has counted.
func (c *CastReport) Add(o CastReport) {
	c.Overflowed += o.Overflowed
	c.Flushed += o.Flushed
	c.NaNs += o.NaNs
}
