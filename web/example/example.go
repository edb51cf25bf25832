// Package example is a small checkpoint that comes with the page, for visitors without one.
package example

import _ "embed"

// Name is what the page calls it.
const Name = "example.ckpt"

// Data is testdata/lightning_like.ckpt, which testdata/gen.py makes: weights, an optimizer, and the objects of a training run.
//
//go:embed example.ckpt
var Data []byte
