package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks a file as a store of Assay ("Asay").
const applicationID = 0x41736179

// migrate brings the file to the schema of this program, each migration in a
// transaction of its own. A file of another program or of a newer Assay is
// refused untouched.
func migrate(ctx context.Context, db *sql.DB) error {
	var id, tables int
	err := db.QueryRowContext(ctx, `SELECT (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)`).Scan(&id, &tables)
	if err != nil {
		return err
	}
	if id == applicationID {
		if err := readVersions(ctx, db); err != nil {
			return err
		}
	}
	// A kill between the birth of the file and its first migration leaves goose's table alone.
	if id != applicationID && tables > 0 {
		var foreign int
		err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE 'goose_%' AND name NOT LIKE 'sqlite_%'`).Scan(&foreign)
		if err != nil {
			return err
		}
		if foreign > 0 {
			return fmt.Errorf("%w: it is the database of another program (application id %d)", ErrCorrupt, id)
		}
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > target {
		return fmt.Errorf("%w: it has schema %d, this program knows %d; run the newer program, or restore a backup", ErrNewerSchema, current, target)
	}
	_, err = provider.Up(ctx)
	if ctx.Err() != nil && errors.Is(err, sql.ErrTxDone) { // database/sql took the transaction back when ctx ended
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// readVersions reads what goose is going to read of its table: it would try for
// seconds to make one that it cannot read, or whose first row it does not find.
func readVersions(ctx context.Context, db *sql.DB) error {
	versions, err := database.NewStore(database.DialectSQLite3, goose.DefaultTablename)
	if err != nil {
		return err
	}
	if _, err = versions.GetMigration(ctx, db, 0); err == nil {
		_, err = versions.ListMigrations(ctx, db)
	}
	if err != nil && kindOf(err) == nil {
		return fmt.Errorf("%w: its schema version cannot be read; restore a backup: %w", ErrCorrupt, err)
	}
	return err
}
