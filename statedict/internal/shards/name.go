package shards

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nameProblem says why a file name is not that of a plain sibling, or "".
func nameProblem(name string) string {
	switch {
	case name == "":
		return "has no name"
	case name == "." || name == "..":
		return "is a folder"
	case strings.ContainsAny(name, `/\`):
		return "leads into another folder"
	case strings.Contains(name, ":"):
		return "names a drive or a stream"
	case len(name) > 255:
		return "is longer than file names can be"
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has characters that do not show"
	}
	return ""
}

// ShardName is the name of shard n of total, counted from 1, of a checkpoint that would be called name in one piece:
// model.safetensors becomes model-00001-of-00003.safetensors.
func ShardName(name string, n, total int) string {
	stem, ext := splitExt(name)
	return fmt.Sprintf("%s-%05d-of-%05d%s", stem, n, total, ext)
}

// IndexName is the name of the index beside the shards of name.
func IndexName(name string) string { return name + ".index.json" }

// splitExt cuts name at its last dot; a leading dot does not count.
func splitExt(name string) (stem, ext string) {
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		return name[:dot], name[dot:]
	}
	return name, ""
}

// IsIndexName tells index files by their names: model.safetensors.index.json and the variants, as
// pytorch_model.bin.index.fp16.json and model.fp16.safetensors.index.json.
func IsIndexName(name string) bool {
	return strings.HasSuffix(name, ".index.json") || strings.HasSuffix(name, ".json") && strings.Contains(name, ".index.")
}
