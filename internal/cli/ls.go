package cli

import (
	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/listing"
)

func (e *env) lsCommand() *cobra.Command {
	var asJSON, tree, objects bool
	var match, sort, at string
	cmd := &cobra.Command{
		Use:   "ls FILE...",
		Short: "List the keys of a checkpoint with dtype, shape and size",
		Long: `List the keys of a checkpoint with dtype, shape and size.

Below the tensors stand the other objects of the file (epoch, optimizer
settings) and what is odd about it. With --json there is also where each tensor
lies: storage, offset, stride; the same storage twice means tied weights.`,
		Example: `  weightroom ls in.pth --match '**.weight' --sort size
  weightroom ls model.safetensors.index.json --tree
  curl -s https://example.org/in.pth | weightroom ls - --json`,
		Args: minArgs(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cp, set, err := e.open(cmd.Context(), args)
			if err != nil {
				return err
			}
			defer set.Close()
			l := listing.New(cp)
			if cmd.Flags().Changed("at") {
				if err := l.At(at); err != nil {
					return err
				}
			}
			if match != "" {
				if err := l.Match(match); err != nil {
					return &usageError{msg: "--match: " + err.Error()}
				}
			}
			if err := l.Sort(sort); err != nil {
				return &usageError{msg: "--sort: " + err.Error()}
			}
			if asJSON {
				return l.WriteJSON(e.out)
			}
			return l.WriteText(e.out, listing.Text{Tree: tree, AllObjects: objects, Colour: colour(e.out)})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "one JSON document on stdout")
	f.StringVar(&match, "match", "", "only keys that match `PATTERN`: a glob over dotted parts (* one part, ** any), or re:REGEXP")
	f.StringVar(&sort, "sort", "file", "order: `file|key|size`")
	f.BoolVar(&tree, "tree", false, "group keys by their dotted parts, with totals")
	f.StringVar(&at, "at", "", "only the mapping at `PATH`")
	f.BoolVar(&objects, "objects", false, "show every object that is no tensor, not only the first few")
	return cmd
}
