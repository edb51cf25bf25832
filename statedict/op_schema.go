package statedict

import (
	"reflect"
	"strings"
)

// operations makes an empty step for every operation, in the order in which the interface lists them. Everything that
// knows recipes as documents (parser, writer, schema) is driven by this list and the fields' `recipe` tags:
//
//	name      the field in the document, then any of
//	required  has to be there
//	bare      may stand alone in place of the mapping
//	empty     may be the empty text
//	optional  the flag that every step takes
var operations = []func() Op{
	func() Op { return new(StripPrefix) },
	func() Op { return new(Keep) },
	func() Op { return new(Drop) },
	func() Op { return new(Rename) },
	func() Op { return new(AddPrefix) },
	func() Op { return new(Extract) },
	func() Op { return new(KeepKnown) },
	func() Op { return new(Merge) },
	func() Op { return new(Cast) },
	func() Op { return new(SetDevice) },
	func() Op { return new(SetRequiresGrad) },
	func() Op { return new(Unshare) },
	func() Op { return new(Compact) },
	func() Op { return new(Tie) },
	func() Op { return new(DropObjects) },
	func() Op { return new(SetMetadata) },
}

// opField is one field of an operation, as its tag describes it.
type opField struct {
	index                           int
	name                            string
	required, bare, empty, optional bool
}

func opFields(op Op) []opField {
	t := reflect.TypeOf(op).Elem()
	var fields []opField
	for i := range t.NumField() {
		tag := strings.Split(t.Field(i).Tag.Get("recipe"), ",")
		if tag[0] == "-" || tag[0] == "" {
			continue
		}
		f := opField{index: i, name: tag[0], optional: tag[0] == "optional"}
		for _, flag := range tag[1:] {
			switch flag {
			case "required":
				f.required = true
			case "bare":
				f.bare = true
			case "empty":
				f.empty = true
			}
		}
		fields = append(fields, f)
	}
	return fields
}

// checker is a step with rules beyond the kinds of its fields.
type checker interface{ check() error }

// choice is a field that takes one of a few words.
type choice interface{ choices() []string }
