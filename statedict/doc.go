// Package statedict opens, edits and writes checkpoints: PyTorch files of every age, safetensors, NumPy and GGUF.
//
// # Index, recipe, plan
//
// Open reads headers only and returns an immutable Checkpoint. Its entries are views of storages, and only storages own
// bytes, so two keys that share a storage (tied weights) keep sharing it through every edit.
//
// An edit is a Recipe, a list of operations with a JSON and YAML form. Recipe.Apply is pure: it reads no tensor bytes and
// answers with a new Checkpoint that shares the storages of the old one, and a Report of what each step did.
//
// NewPlan lays a checkpoint out as files made of segments whose lengths are all known. Every mistake in the content is
// an error here, before the first byte. File.Write then streams the segments, and Verify opens the result again.
//
// Nothing in a file is ever executed: unknown classes become inert values (see Checkpoint.Objects), and the names that a
// pickle asks to import are listed in Checkpoint.Globals.
package statedict
