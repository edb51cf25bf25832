package message

import "encoding/json"

// Shrink asks what could be saved: ShrinkRequest -> Shrunk. No tensor bytes are read.
const Shrink = "shrink"

// ShrinkRequest is about the checkpoint after a recipe.
type ShrinkRequest struct {
	Handle int
	Recipe json.RawMessage
}

// Shrunk says how large an export is, and what would make it smaller.
type Shrunk struct {
	Format string
	Size   int64 // bytes of the exported files, exactly
	Lines  []Saving
}

// Saving is a step that makes the export smaller.
type Saving struct {
	Kind  string // "optimizer", "ema", "same", "unreached", "views", "half"
	What  string // the part of the file or the key concerned; "" for all of it
	Keys  int    // tensors concerned
	Bytes int64  // saved, exactly
	Step  json.RawMessage
}
