// Package pickle reads and writes the pickles inside checkpoints without ever running them.
//
// Reading is two passes. Scan walks the opcodes within limits and lists every global that any of them names. Load then
// runs gopickle's VM over the same bytes with a table of our own classes: rebuild calls become *Tensor, persistent ids
// become *Storage, everything unknown becomes an inert *Object or *Global.
//
// Writing (Emit) produces protocol 2 exactly as CPython's pickler does for what torch.save is given.
package pickle
