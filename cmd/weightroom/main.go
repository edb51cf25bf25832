// Command weightroom lists, checks and edits PyTorch checkpoints without loading their tensors.
package main

import (
	"os"

	"github.com/weightroom/weightroom/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
