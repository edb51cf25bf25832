// Package pickle reads and writes the pickles inside checkpoints without ever running them.
//
// Reading is three steps. Scan walks the opcodes within limits, simulates the stack with kinds in place of values, and lists
// every global that any opcode resolves. Load then runs gopickle's VM over a rewritten stream (see rewriter), in which all
// containers and classes are ours: known calls become *Tensor, persistent ids *Storage, everything unknown an inert *Object
// or *Global. Last it converts what the VM leaves to the tree of value.go, without recursion.
//
// Writing (Emit) produces protocol 2 exactly as CPython's pickler does for what torch.save is given.
//
// One table (calls) says what is known. Verdict and Allowed judge names; nothing in a verdict changes how a pickle is read.
package pickle
