// Package statedict opens, edits and writes checkpoints: PyTorch files of every age, safetensors, NumPy and GGUF. It takes an
// io.ReaderAt in and gives bytes to an io.Writer; it knows no paths, no network and no clock, and runs in a browser as it does
// natively.
//
// # Index
//
// Open reads headers only and returns an immutable Checkpoint. Its entries are views (dtype, shape, stride and offset in
// elements) of storages, and only storages own bytes, so two keys that share a storage (tied weights) keep sharing it through
// every edit. What stands around the tensors, from an optimizer's numbers to a whole pickled module, is kept as a tree; see
// Checkpoint.Objects and Checkpoint.StateDicts. An open checkpoint costs about 600 bytes a tensor, whatever the tensors weigh.
// Their elements are read when they are asked for, by Checkpoint.Reader and Checkpoint.Inspect.
//
// # Recipe
//
// An edit is a Recipe, a list of operations with a JSON and YAML form (ParseRecipe). Recipe.Apply is pure: it reads no tensor
// bytes and answers with a new Checkpoint that shares the storages of the old one, and a Report of what each step did. Undo is
// the same list without its tail. Compare says what load_state_dict would say of two checkpoints, and Suggest looks for the
// recipe that makes them fit.
//
// # Plan
//
// NewPlan lays a checkpoint out as files made of segments whose lengths are all known: bytes in hand, extents of a source,
// conversions, checksums. Every mistake in the content is an error here, before the first byte, and names every key that the
// format cannot hold. The same checkpoint and recipe give the same bytes. What was not touched comes out as it went in: an export
// without an edit is a copy, and one with an edit writes the object tree as torch.save would, with the source's order of
// records. File.Write streams the segments; Verify opens the result again and compares it with the plan.
//
// Formats that hold tensors only, and all formats for TorchScript, get the state dict of a whole module.
//
// # Trust
//
// Nothing in a file is ever executed. Unknown classes are inert values, the names that a pickle asks to import are listed in
// Checkpoint.Globals, and Scan looks for more of them. An output that torch's weights_only loader would refuse needs
// PlanOptions.AllowUnsafe. No size that a file declares is believed before it is compared with the bytes that are there.
//
// # Errors
//
// The type of an error says who has to act: FormatError (the file is wrong), UnsupportedError (the file is right, this package
// does not do it), UnsafeError, LimitError, KeyError (an operation and its keys) and SourceError (reading failed). Code and Hint
// answer the stable code of an error and the next step to take. What can be lived with is a Finding of the checkpoint.
package statedict
