package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/backup"
	"github.com/release-assay/assay/internal/store"
)

func newRestore(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a data directory of a backup",
		Long: `Restore unpacks a backup into a folder that does not exist or is empty, after comparing
every byte with the backup's manifest, reading every page of the database and following
the audit log to its end. The folder is there as a whole or not at all. Stop the server
that the backup is of before you serve from the new folder: what it has decided since is
not known there, and what was open is judged again.`,
		Example: "  assay restore before-upgrade.tar.zst --data-dir /var/lib/assay-restored\n  assay serve --data-dir /var/lib/assay-restored",
		Args:    exactArgs(1, "a file that 'assay backup' wrote"),
	}
	output := addOutput(c)
	dataDir := c.Flags().String("data-dir", "", "the folder to make (required)")
	by := addBy(c, "who restores")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *dataDir == "" {
			return usage(errors.New("--data-dir is required: the folder to make\nsee 'assay restore --help'"))
		}
		f, err := os.Open(args[0])
		if err != nil {
			return usage(err)
		}
		defer f.Close()
		m, err := backup.Restore(c.Context(), f, *dataDir, nameOf(*by), time.Now())
		switch {
		case errors.Is(err, backup.ErrNotEmpty):
			return usage(fmt.Errorf("%w: nothing is written over, name a new folder", err))
		case errors.Is(err, store.ErrNewerSchema):
			return usage(err)
		case err != nil:
			return internal(err)
		}
		return s.backedUp(*dataDir, m, *output == "json")
	}
	return c
}
