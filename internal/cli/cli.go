// Package cli is the weightroom command: its flags, its output, its exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/weightroom/weightroom/internal/file"
	"github.com/weightroom/weightroom/internal/listing"
	"github.com/weightroom/weightroom/statedict"
)

// Exit codes, a contract with scripts.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitFound  = 3 // check and diff found differences, scan found something outside the safe list
)

// env is what a command runs with.
type env struct {
	in          io.Reader
	out, err    io.Writer
	lenient     bool
	quiet       bool
	maxUnpacked string
	stdinTaken  bool
}

// memoryTarget is where the collector begins to work harder, in bytes: below the 256 MB that no file may make the command pass,
// whatever the machine is busy with. The environment variable GOMEMLIMIT, where it is set, decides instead.
const memoryTarget = 208 << 20

// Main runs the command line args and returns the exit code.
func Main(args []string, in io.Reader, out, errOut io.Writer) int {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryTarget)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	defer stop()
	e := &env{out: out, err: errOut}
	if in != nil {
		e.in = &stdin{ctx: ctx, r: in}
	}
	root := e.root()
	root.SetArgs(joinWords(args))
	if name, ok := noCommand(root, args); ok {
		return e.report(unknownCommand(root, name), wantsJSON(args))
	}
	err := root.ExecuteContext(ctx)
	if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errInterrupted
	}
	return e.report(err, wantsJSON(args))
}

func (e *env) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "weightroom",
		Short: "List, check and edit PyTorch checkpoints without loading their tensors",
		Long: `List, check and edit PyTorch checkpoints without loading their tensors.

FILE is a checkpoint, several shards of one, an index JSON, a folder that holds
one, or - for a stream. Nothing in a file is ever run.

Exit codes: 0 done; 1 failed; 2 usage; 3 check or diff found differences, or
scan found something outside the safe list.`,
		Example: `  weightroom ls in.pth --tree
  weightroom edit in.pth -o out.pth --strip-prefix module. --dry-run
  weightroom edit in.ckpt -o out.safetensors --at '' --extract state_dict
  weightroom check in.pth --against mymodel.pth --suggest`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			if asJSON, _ := cmd.Flags().GetBool("json"); e.quiet && !asJSON {
				e.out = io.Discard
			}
		},
	}
	root.SuggestionsMinimumDistance = 2
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages", "Flags.FlagUsagesWrapped 80"))
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{msg: flagError(err) + nearestFlag(cmd, err), hint: cmd.CommandPath() + " --help lists the flags"}
	})
	root.PersistentFlags().BoolVar(&e.lenient, "lenient", false, "open a file that two readers could understand differently; it cannot be edited")
	root.PersistentFlags().BoolVarP(&e.quiet, "quiet", "q", false, "print nothing but errors and what --json asks for; the exit code answers")
	root.PersistentFlags().StringVar(&e.maxUnpacked, "max-unpacked", "", "most bytes (`SIZE`) that a gzip or zstd FILE may unpack to (default 64 times its size, at least 1GiB)")
	root.AddCommand(e.lsCommand(), e.showCommand(), e.editCommand(), e.checkCommand(), e.diffCommand(), e.scanCommand(), e.verifyCommand(), e.serveCommand())
	return root
}

// usageError is a wrong command line.
type usageError struct{ msg, hint string }

func (e *usageError) Error() string { return e.msg }

// errFound ends a command whose answer is "not equal" or "not safe": it has been printed already.
var errFound = errors.New("differences found")

// errFaults ends a verify that has printed its faults as JSON.
var errFaults = errors.New("faults found")

var errInterrupted = errors.New("interrupted")

// report prints err and answers the exit code for it.
func (e *env) report(err error, asJSON bool) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, errFound) {
		return exitFound
	}
	if errors.Is(err, errFaults) {
		return exitFailed
	}
	if errors.Is(err, syscall.EPIPE) { // the reader of our output has seen enough
		return exitDone
	}
	code, exit, hint := statedict.Code(err), exitFailed, statedict.Hint(err)
	var ue *usageError
	var fue *file.UsageError
	var te *file.TargetError
	switch {
	case errors.As(err, &ue):
		code, exit, hint = "E_USAGE", exitUsage, ue.hint
	case errors.As(err, &fue):
		code, exit = "E_USAGE", exitUsage
	case errors.As(err, &te):
		code, hint = "E_TARGET", te.Hint
	case errors.Is(err, os.ErrNotExist):
		code = "E_NOT_FOUND"
	}
	lines := sentences(err)
	if asJSON {
		b := append([]byte(nil), `{"error": {"code": `...)
		b = listing.AppendString(b, code)
		b = append(b, `, "message": `...)
		b = listing.AppendString(b, strings.Join(lines, "; "))
		b = append(b, `, "hint": `...)
		b = listing.AppendString(b, hint)
		e.out.Write(append(b, "}}\n"...))
		return exit
	}
	for _, line := range lines {
		fmt.Fprintf(e.err, "weightroom: %s\n", listing.Escape(line))
	}
	if hint != "" {
		fmt.Fprintf(e.err, "hint: %s\n", listing.Escape(hint))
	}
	return exit
}

// sentences splits joined errors, one line each, and says what the system reports in our own form: name quoted, then why.
func sentences(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, err := range joined.Unwrap() {
			all = append(all, sentences(err)...)
		}
		return all
	}
	if pe, ok := err.(*os.PathError); ok {
		return []string{fmt.Sprintf("%q: %v", pe.Path, pe.Err)}
	}
	return []string{err.Error()}
}

// minArgs refuses command lines without enough FILEs.
func minArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return &usageError{msg: "missing " + what, hint: "usage: " + cmd.UseLine()}
		}
		return nil
	}
}

func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return &usageError{msg: fmt.Sprintf("%d arguments, %d expected", len(args), n), hint: "usage: " + cmd.UseLine()}
		}
		return minArgs(n, what)(cmd, args)
	}
}

var errStdinTwice = &usageError{msg: "- stands for standard input, which can be read only once"}

// takeStdin refuses a second reader of standard input, which would find it empty.
func (e *env) takeStdin() error {
	if e.stdinTaken {
		return errStdinTwice
	}
	e.stdinTaken = true
	return nil
}

// files opens the files that paths name, without a look at what they hold.
func (e *env) files(paths []string) (*file.Set, error) {
	for _, path := range paths {
		if path != "-" {
			continue
		}
		if err := e.takeStdin(); err != nil {
			return nil, err
		}
	}
	o := file.Options{Stdin: e.in}
	if e.maxUnpacked != "" {
		n, err := statedict.ParseSize(e.maxUnpacked)
		if err != nil {
			return nil, &usageError{msg: "--max-unpacked: " + err.Error()}
		}
		o.MaxUnpacked = n
	}
	return file.Open(paths, o)
}

// open opens what paths name. The set must be closed after the last use of the checkpoint.
func (e *env) open(ctx context.Context, paths []string) (*statedict.Checkpoint, *file.Set, error) {
	set, err := e.files(paths)
	if err != nil {
		return nil, nil, err
	}
	cp, err := (&statedict.Options{Lenient: e.lenient}).Open(ctx, set.Sources...)
	if err != nil {
		set.Close()
		return nil, nil, inFile(paths, err)
	}
	return cp, set, nil
}

// inFile names the file that an error is about, where the command line names just one.
func inFile(paths []string, err error) error {
	if len(paths) != 1 {
		return err
	}
	return fmt.Errorf("%q: %w", paths[0], err)
}
