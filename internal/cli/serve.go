package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/server"
)

func (e *env) serveCommand() *cobra.Command {
	var o server.Options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the page, and the API over the files below a folder",
		Long: `Serve the page, and with --root the API over the files below a folder:

  GET  /api/files?path=FOLDER      what a folder holds
  GET  /api/ls?path=FILE           as ls --json; at=, match=, sort= as its flags
  POST /api/plan                   as edit --dry-run --json
  POST /api/export                 the file itself

The body of both is JSON: {"path": FILE, "recipe": {...}, "format":
"safetensors", "name": "out.safetensors", "max_shard_size": "5GB"}. The recipe
may also be a text, as a file holds it, or the name of a ready-made one. Of a
sharded plan, "file" names the one to export. Errors are {"error": {"code",
"message", "hint"}}.`,
		Example: `  weightroom serve --root ~/checkpoints
  curl 'http://127.0.0.1:8080/api/ls?path=in.pth'
  curl http://127.0.0.1:8080/api/export -H 'Content-Type: application/json' \
    -d '{"path": "in.pth", "recipe": "inference-only"}' -OJ`,
		Args: exactArgs(0, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := server.New(o)
			if err != nil {
				return &usageError{msg: err.Error()}
			}
			return s.Run(cmd.Context(), func(url string) {
				fmt.Fprintf(e.out, "weightroom is at %s\n", url)
				for _, note := range s.Notes() {
					fmt.Fprintln(e.err, note)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on; port 0 takes a free one")
	f.StringVar(&o.Root, "root", "", "also serve the API over the checkpoints below this `DIR`")
	f.StringVar(&o.Token, "token", "", "a `TEXT` that requests must carry; made and printed where the address is not a loopback one")
	f.StringVar(&o.Web, "web", "", "serve the page from this `DIR` instead of the built-in one")
	f.StringSliceVar(&o.Hosts, "host", nil, "further `NAME`s that requests may use for this server")
	f.StringSliceVar(&o.Embed, "embed", nil, "`ORIGIN`s whose pages may frame this one, like https://docs.example.org")
	return cmd
}
