package model

import (
	"encoding/json"
	"slices"
)

// Column is a column of the tree.
type Column struct {
	Name  string // data-column
	Order Order  // that a click on its title sorts by
	Desc  bool   // the first click puts the largest first
	Width int    // CSS pixels; 0 for the column that takes what is left
}

// TreeColumns are the columns, from left to right.
var TreeColumns = []Column{
	{"name", ByName, false, 0}, {"type", ByType, false, 104}, {"shape", ByNumel, true, 150}, {"params", ByNumel, true, 84},
	{"size", ByBytes, true, 84}, {"share", ByBytes, true, 92},
}

// ColumnOf is the column of that name, nil for none.
func ColumnOf(name string) *Column {
	for i := range TreeColumns {
		if TreeColumns[i].Name == name {
			return &TreeColumns[i]
		}
	}
	return nil
}

// Columns are what somebody chose for the columns, to be kept. A column in neither list is on show where there is room.
type Columns struct {
	Hide  []string       `json:"hide,omitempty"`
	Keep  []string       `json:"keep,omitempty"`
	Width map[string]int `json:"width,omitempty"`
	Fold  bool           `json:"fold,omitempty"`
}

// The bounds of a column's width, in CSS pixels.
const (
	MinWidth = 48
	MaxWidth = 400
)

// ParseColumns reads what String wrote; what makes no sense is left out.
func ParseColumns(text string) (c Columns) {
	if json.Unmarshal([]byte(text), &c) != nil {
		return Columns{}
	}
	unknown := func(name string) bool { col := ColumnOf(name); return col == nil || col.Width == 0 }
	c.Hide = slices.DeleteFunc(c.Hide, unknown)
	c.Keep = slices.DeleteFunc(c.Keep, func(name string) bool { return unknown(name) || slices.Contains(c.Hide, name) })
	for name, w := range c.Width {
		if delete(c.Width, name); !unknown(name) {
			c.Resize(name, w)
		}
	}
	return c
}

func (c *Columns) String() string {
	doc, _ := json.Marshal(c) // strings and numbers always marshal
	return string(doc)
}

// Show puts a column on show, or hides it.
func (c *Columns) Show(name string, on bool) {
	is := func(s string) bool { return s == name }
	c.Hide, c.Keep = slices.DeleteFunc(c.Hide, is), slices.DeleteFunc(c.Keep, is)
	if on {
		c.Keep = append(c.Keep, name)
	} else {
		c.Hide = append(c.Hide, name)
	}
}

// WidthOf is how wide a column is.
func (c *Columns) WidthOf(name string) int {
	if w, ok := c.Width[name]; ok {
		return w
	}
	return ColumnOf(name).Width
}

// Resize makes a column that wide, within the bounds.
func (c *Columns) Resize(name string, width int) {
	if c.Width == nil {
		c.Width = map[string]int{}
	}
	if width = min(max(width, MinWidth), MaxWidth); width == ColumnOf(name).Width {
		delete(c.Width, name)
		return
	}
	c.Width[name] = width
}
