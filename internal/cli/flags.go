package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weightroom/weightroom/statedict"
)

// nearestFlag is what a flag that does not exist most likely means, as the end of a sentence.
func nearestFlag(cmd *cobra.Command, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := statedict.Nearest(unknown.GetSpecifiedName(), names); near != "" {
		return fmt.Sprintf(", did you mean --%s?", near)
	}
	return ""
}

// wantsJSON tells whether an error is to be a JSON document: it has to be known even where the command line cannot be read.
func wantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--json", "--json=true":
			return true
		}
	}
	return false
}

// noCommand is the first word of a command line that names no command. Flags behind it belong to a command as well, so that
// without this they would be what the error is about.
func noCommand(root *cobra.Command, args []string) (name string, ok bool) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") || slices.Contains([]string{"help", "completion", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd}, args[0]) {
		return "", false
	}
	return args[0], !slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == args[0] })
}

func unknownCommand(root *cobra.Command, name string) error {
	msg := fmt.Sprintf("unknown command %q", name)
	if near := root.SuggestionsFor(name); len(near) > 0 {
		msg += fmt.Sprintf(", did you mean %q?", near[0])
	}
	return &usageError{msg: msg, hint: "weightroom --help lists the commands"}
}

// flagError is the text of an error about a flag, without the names of Go's functions.
func flagError(err error) string {
	var bad *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &bad) && errors.As(err, &number) {
		return fmt.Sprintf("--%s: %q is no whole number", bad.GetFlag().Name, bad.GetValue())
	}
	return err.Error()
}

// joinWords lets the operation flags that may stand alone take their value as a word of its own, too: true or false, and for
// unshare a pattern, which is what is no flag and no file.
func joinWords(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(joined, args[i:]...)
		}
		takes := func(string) bool { return false }
		switch args[i] {
		case "--set-requires-grad", "--compact":
			takes = func(word string) bool { return word == "true" || word == "false" }
		case "--unshare":
			takes = func(word string) bool {
				_, err := os.Lstat(word)
				return !strings.HasPrefix(word, "-") && errors.Is(err, fs.ErrNotExist)
			}
		}
		if i+1 < len(args) && takes(args[i+1]) {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}

// version is what the toolchain wrote into the binary: the module's version, or the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && (v == "" || v == "(devel)") {
			v = s.Value
		}
	}
	if v == "" {
		return "(devel)"
	}
	return v
}
