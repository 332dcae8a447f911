package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/release-assay/assay/internal/backup"
	"github.com/release-assay/assay/internal/httpapi"
	"github.com/release-assay/assay/internal/kafka"
	"github.com/release-assay/assay/internal/store"
	"github.com/release-assay/assay/verdicts"
)

func newBackup(s streams) *cobra.Command {
	c := &cobra.Command{
		Use:   "backup FILE|FOLDER",
		Short: "Write all that Assay keeps into one file, while it works",
		Long: `Backup copies the database, the spools of open validations and the bundles, as they are
at one instant, into one file: of the server while it works, or with --data-dir of a
folder whose server is stopped. The file is checked before it gets its name. It does not
hold the log of the embedded Kafka broker, the configuration or any keys, and it is not
encrypted: whoever has it has the evidence. 'assay restore' makes a folder of it.`,
		Example: "  assay backup /backups\n  assay backup before-upgrade.tar.zst\n  assay backup /backups --data-dir /var/lib/assay   # the server is stopped",
		Args:    exactArgs(1, "a file to write, or a folder to write it into"),
	}
	server, output := addServer(c), addOutput(c)
	dataDir := c.Flags().String("data-dir", "", "data directory of a server that is stopped, instead of --server")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *dataDir != "" && c.Flags().Changed("server") {
			return usage(errors.New("name either --server or --data-dir"))
		}
		now := time.Now()
		name, err := backupName(args[0], now)
		if err != nil {
			return err
		}
		m, err := writeBackup(c.Context(), name, func(w io.Writer) error {
			if *dataDir != "" {
				return backupFolder(c.Context(), *dataDir, w, now)
			}
			return download(c.Context(), *server, http.MethodPost, "/v1/backup", w)
		})
		if err != nil {
			return err
		}
		for _, note := range m.Notes {
			fmt.Fprintln(s.err, "note:", verdicts.Plain(note))
		}
		return s.backedUp(name, m, *output == "json")
	}
	return c
}

// backupName is the file to write: nothing is written over.
func backupName(name string, now time.Time) (string, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		name = filepath.Join(name, "assay-backup-"+now.UTC().Format("20060102T150405Z")+".tar.zst")
	}
	if _, err := os.Lstat(name); err == nil {
		return "", usage(fmt.Errorf("%s is there already: choose another name", name))
	}
	return name, nil
}

// writeBackup writes a file that is either a whole backup or not there.
func writeBackup(ctx context.Context, name string, write func(io.Writer) error) (m backup.Manifest, err error) {
	err = writeWhole(name, func(f *os.File) error {
		if err := write(f); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return internal(err)
		}
		if m, err = backup.Verify(ctx, f); err != nil {
			return internal(fmt.Errorf("what arrived is not whole: %w", err))
		}
		return nil
	})
	return m, err
}

// backupFolder backs up the folder of a server that is stopped.
func backupFolder(ctx context.Context, dir string, w io.Writer, now time.Time) error {
	path := filepath.Join(dir, "assay.db")
	if _, err := os.Stat(path); err != nil {
		return usage(fmt.Errorf("%s is no data directory of Assay: %w", dir, err))
	}
	st, err := store.Open(ctx, path, now)
	if errors.Is(err, store.ErrInUse) {
		return usage(fmt.Errorf("%w: back up the server that runs with --server", err))
	}
	if err != nil {
		return internal(err)
	}
	defer st.Close()
	_, err = os.Stat(filepath.Join(dir, "kafka"))
	if _, err = backup.Write(ctx, w, backup.Folder{Store: st, Dir: dir, Engine: "assay " + version, EmbeddedBroker: err == nil}, now); err != nil {
		return internal(err)
	}
	return nil
}

// backedUp says what a backup holds.
func (s streams) backedUp(name string, m backup.Manifest, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"file": name, "manifest": m})
	}
	var bytes int64
	for _, f := range m.Files {
		bytes += f.Size
	}
	fmt.Fprintf(s.out, "%s\nof %s: the database, %d spools and %d bundles, %.1f MB unpacked, audit log up to entry %d\n",
		name, m.CreatedAt.Format(time.RFC3339), m.Count("spool"), m.Count("bundles"), float64(bytes)/1e6, m.Audit.Seq)
	return nil
}

// backup writes a backup of this process's data.
func (s *server) backup(ctx context.Context, w io.Writer) error {
	if !s.backingUp.TryLock() {
		return httpapi.ErrBusy
	}
	defer s.backingUp.Unlock()
	from := backup.Folder{
		Store: s.store, Dir: s.config.DataDir, Engine: "assay " + version, EmbeddedBroker: s.broker != nil,
		Still: func(f func() error) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			return f()
		},
	}
	if s.broker != nil {
		if err := s.awaitIntake(ctx); err != nil {
			from.Notes = append(from.Notes, "events that the embedded broker holds and Assay has not read are missing: "+verdicts.Line(err.Error()))
		}
	}
	m, err := backup.Write(ctx, w, from, s.now())
	if err != nil {
		s.log.Error("the backup failed", "error", err)
		return err
	}
	s.log.Info("backed up", "files", len(m.Files), "auditEntry", m.Audit.Seq)
	return nil
}

// intakePatience is how long a backup waits for events that are on their way.
const intakePatience = 5 * time.Second

// awaitIntake waits until everything that the embedded broker has acknowledged by now
// is in the store: its log is not in the backup.
func (s *server) awaitIntake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, intakePatience)
	defer cancel()
	client, err := kafka.Connect(s.kafka)
	if err != nil {
		return err
	}
	defer client.Close()
	topic := s.config.Kafka.Topics.Deployments
	partitions, err := client.Partitions(ctx, topic)
	if err != nil {
		return err
	}
	ends := make([]int64, partitions)
	for p := range ends {
		if _, ends[p], err = client.Offsets(ctx, topic, p); err != nil {
			return err
		}
	}
	for {
		behind := s.unread(ends)
		if behind == 0 {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%d partitions are not read to their end: %w", behind, ctx.Err())
		}
	}
}

// unread counts the partitions that intake has not read up to the given offsets.
func (s *server) unread(ends []int64) int {
	read := map[int]int64{}
	for _, p := range s.intake.Snapshot(s.now()).Partitions {
		read[p.Partition] = p.Next
	}
	behind := 0
	for p, end := range ends {
		if read[p] < end {
			behind++
		}
	}
	return behind
}
