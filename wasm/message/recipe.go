package message

import "encoding/json"

// Methods about recipes as a whole.
const (
	Python  = "python"  // PythonRequest -> Snippet
	Presets = "presets" // ApplyRequest -> PresetEffects
)

// PythonRequest asks for a program that does the recipe's edit with torch alone: it reads the file In and writes Out.
type PythonRequest struct {
	Handle  int
	Recipe  json.RawMessage
	In, Out string
}

// Snippet is a program as text.
type Snippet struct{ Text string }

// PresetEffects says what each ready-made recipe would do behind the recipe of the request, in the order of
// statedict.Presets. It is empty where finding out would take long.
type PresetEffects struct{ Effects []PresetEffect }

// PresetEffect counts the keys that get another name, go away or change, and the objects beside the state dict that go.
// Both are 0 where the recipe would do nothing.
type PresetEffect struct{ Keys, Objects int }
