package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os/user"

	"github.com/spf13/cobra"
)

func newCancel(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:     "cancel VALIDATION",
		Short:   "End a validation with hold (cancelled)",
		Long:    "Cancel ends an open validation, named by its id or its deployment's, with the final verdict\nhold and the code cancelled. It is written to the audit log with your name.",
		Example: "  assay cancel 7c0f…",
		Args:    exactArgs(1, "one validation or deployment id"),
	}
	server := addServer(c)
	by := addBy(c, "who cancels")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := newClient(*server)
		if err != nil {
			return err
		}
		if _, _, err := cl.do(c.Context(), http.MethodPost, "/v1/validations/"+url.PathEscape(args[0])+"/cancel?by="+url.QueryEscape(nameOf(*by)), nil, nil); err != nil {
			return err
		}
		fmt.Fprintln(s.out, "cancelled", args[0])
		return nil
	}
	return c
}

// addBy adds --by, the name that the audit log gets.
func addBy(c *cobra.Command, who string) *string {
	return c.Flags().String("by", "", who+", as the audit log names them (default: the current user)")
}

// nameOf is by, or the current user.
func nameOf(by string) string {
	if by != "" {
		return by
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}
