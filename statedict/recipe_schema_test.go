package statedict

import (
	"encoding/json"
	"reflect"
	"strings"
)

// recipeSchema is the JSON Schema (draft 2020-12) of recipe documents, made from the same field list as the parser.
// web/schema/recipe.schema.json is this text.
//
// Two rules of the parser it does not say: patterns have to compile, and a document has to give no key twice.
func recipeSchema() []byte {
	type object = map[string]any
	text := object{"type": []string{"string", "number"}, "minLength": 1}
	anyText := object{"type": []string{"string", "number"}}
	list := func(item any) object {
		return object{"anyOf": []any{item, object{"type": "array", "items": item, "minItems": 1}}}
	}
	fieldSchema := func(op Op, f opField, v any) any {
		switch v := v.(type) {
		case bool:
			return object{"type": "boolean"}
		case choice:
			return object{"enum": v.choices()}
		case []string, Patterns:
			if f.required {
				return list(object{"$ref": "#/$defs/text"})
			}
			return object{"anyOf": []any{object{"$ref": "#/$defs/text"}, object{"type": "array", "items": object{"$ref": "#/$defs/text"}}}}
		}
		if f.empty {
			return object{"$ref": "#/$defs/anyText"}
		}
		return object{"$ref": "#/$defs/text"}
	}
	var steps []any
	for _, make := range operations {
		op := make()
		value := reflect.ValueOf(op).Elem()
		fields := object{}
		required := []string{}
		forms := []any{}
		for _, f := range opFields(op) {
			s := fieldSchema(op, f, value.Field(f.index).Interface())
			if special := specialField(op, f); special != nil {
				s = special
			}
			fields[f.name] = s
			if f.required {
				required = append(required, f.name)
			}
			if f.bare {
				forms = append(forms, s)
			}
		}
		long := object{"type": "object", "properties": fields, "required": required, "additionalProperties": false}
		if _, ok := op.(*SetMetadata); ok {
			long = object{"type": "object", "properties": object{"optional": object{"type": []string{"boolean", "string", "number"}}},
				"additionalProperties": object{"$ref": "#/$defs/anyText"}}
		}
		if _, ok := op.(*Compact); ok {
			forms = append(forms, object{"const": true})
		}
		forms = append(forms, long)
		steps = append(steps, object{"type": "object", "properties": object{op.Name(): object{"anyOf": forms}},
			"required": []string{op.Name()}, "additionalProperties": false})
	}
	schema := object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "Weightroom recipe",
		"description": "An edit of a checkpoint, as YAML or JSON: steps that run in order on the keys of one mapping.",
		"type":        "object",
		"properties": object{
			"recipe": object{"const": 1},
			"at":     object{"$ref": "#/$defs/anyText", "description": "path of the mapping to work on; absent, it is found"},
			"steps":  object{"type": "array", "items": object{"oneOf": steps}},
			"output": object{"type": "object", "additionalProperties": false, "properties": object{
				"format":         object{"enum": outputFormats},
				"max_shard_size": object{"type": []string{"string", "integer"}, "minimum": 1, "pattern": strings.ReplaceAll(sizePattern.String(), `\d`, "[0-9]")},
			}},
		},
		"additionalProperties": false,
		"$defs":                object{"text": text, "anyText": anyText},
	}
	doc, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic(err) // maps of strings and lists
	}
	return append(doc, '\n')
}

// specialField is the schema of the fields that take words of their own.
func specialField(op Op, f opField) any {
	switch op.(type) {
	case *Cast:
		if f.name == "to" {
			var names []string
			for _, d := range castTargets() {
				names = append(names, d.String(), "torch."+d.String())
			}
			return map[string]any{"enum": names}
		}
	case *SetDevice:
		if f.name == "device" {
			return map[string]any{"type": "string", "pattern": strings.ReplaceAll(devicePattern.String(), `\d`, "[0-9]")}
		}
	}
	return nil
}
