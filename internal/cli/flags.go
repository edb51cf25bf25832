package cli

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

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

// joinBools lets the two operation flags that may stand alone take true or false as a word of its own, too.
func joinBools(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		if args[i] == "--" {
			return append(joined, args[i:]...)
		}
		flag := args[i] == "--set-requires-grad" || args[i] == "--compact"
		if flag && i+1 < len(args) && slices.Contains([]string{"true", "false"}, args[i+1]) {
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
