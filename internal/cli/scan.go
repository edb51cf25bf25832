package cli

import (
	"bufio"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

func (e *env) scanCommand() *cobra.Command {
	var asJSON, sarif bool
	cmd := &cobra.Command{
		Use:   "scan FILE...",
		Short: "List what unpickling a file would import and call",
		Long: `List what unpickling the file would import and call; nothing is imported.

Every global that any opcode of any pickle in the file resolves is judged: safe
(holds data, or rebuilds tensors), unsafe (known to run programs or code),
unknown (anything else). Pickles in strings of pickles and in records that no
checkpoint needs count as well, and so does what stands in front of a fault.

The exit code is 3 when one is not safe, or when the file carries code, hides
bytes, or could not be read to its end.`,
		Args: minArgs(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if asJSON && sarif {
				return &usageError{msg: "--json and --sarif are two documents; one goes to stdout", hint: "give one of them"}
			}
			set, err := e.files(args)
			if err != nil {
				return err
			}
			defer set.Close()
			r, err := (&statedict.Options{Lenient: e.lenient}).Scan(cmd.Context(), set.Sources...)
			if err != nil {
				return inFile(args, err)
			}
			switch {
			case sarif:
				err = listing.WriteSARIF(e.out, r)
			case asJSON:
				err = listing.WriteScanJSON(e.out, r)
			default:
				err = e.writeScan(r)
			}
			if err == nil && !r.Safe() {
				return errFound
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON document on stdout")
	cmd.Flags().BoolVar(&sarif, "sarif", false, "one SARIF 2.1.0 document on stdout, as code scanning services read it")
	return cmd
}

func (e *env) writeScan(r *statedict.ScanReport) error {
	w := bufio.NewWriter(e.out)
	bad := 0
	for i := range r.Globals {
		g := &r.Globals[i]
		fmt.Fprintf(w, "%-8s %s  %s byte %d", g.Verdict(), listing.Escape(g.String()), listing.Escape(g.Record), g.Position)
		if g.Depth > 0 {
			fmt.Fprintf(w, ", in a string of that pickle")
		}
		if g.Verdict() != "safe" {
			bad++
			fmt.Fprintf(w, "; %s", g.Effect)
		}
		fmt.Fprintln(w)
	}
	for _, f := range r.Findings {
		if f.Code != "F_GLOBAL" { // listed above
			fmt.Fprintf(w, "%-8s %s  %s\n", f.Code, listing.Escape(f.Message), listing.Escape(f.Path))
		}
	}
	switch {
	case r.Safe():
		fmt.Fprintf(w, "safe: %d globals, all of them data\n", len(r.Globals))
	case bad == 0:
		fmt.Fprintf(w, "not safe: all %d globals are data, but see the findings\n", len(r.Globals))
	default:
		fmt.Fprintf(w, "not safe: %d of %d globals are outside the safe list\n", bad, len(r.Globals))
	}
	return w.Flush()
}
