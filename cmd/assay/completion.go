package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those for which completion can be written.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Print the completion script of a shell",
		Long:  "Completion prints a script that lets a shell complete Assay's commands, flags and their\nvalues. Load it in the shell, or put it where the shell looks for such scripts.",
		Example: `  source <(assay completion bash)                                     # this shell only
  assay completion bash > /etc/bash_completion.d/assay
  assay completion zsh > "${fpath[1]}/_assay"
  assay completion fish > ~/.config/fish/completions/assay.fish
  assay completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args:      exactArgs(1, "the name of a shell: bash, zsh, fish or powershell"),
		RunE: func(c *cobra.Command, args []string) error {
			root := c.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(s.out, true)
			case "zsh":
				return root.GenZshCompletion(s.out)
			case "fish":
				return root.GenFishCompletion(s.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(s.out)
			}
			return usage(fmt.Errorf("there is no completion for %q (legal: %s)", args[0], strings.Join(shells, ", ")))
		},
	}
}

// complete lets shells offer the values of a flag.
func complete(c *cobra.Command, flag string, values ...string) {
	if err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was not added, or has values already
	}
}
