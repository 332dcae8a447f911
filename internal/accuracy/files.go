package accuracy

import (
	"archive/tar"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// A sheet is a table of a recording by the names of its columns. Cells that are
// empty or NaN are missing values, not zeros.
type sheet struct {
	name    string
	columns []string
	rows    [][]string
}

// readSheet reads a CSV file that may be packed with gzip.
func readSheet(name string) (sheet, error) {
	f, err := os.Open(name)
	if err != nil {
		return sheet{}, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			return sheet{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return parseSheet(name, r)
}

func parseSheet(name string, r io.Reader) (sheet, error) {
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return sheet{}, fmt.Errorf("%s: %w", name, err)
	}
	if len(rows) < 2 {
		return sheet{}, fmt.Errorf("%s: no rows", name)
	}
	return sheet{name: name, columns: rows[0], rows: rows[1:]}, nil
}

// column returns the values of a column, NaN where a cell is missing.
func (s sheet) column(name string) ([]float64, error) {
	i := slices.Index(s.columns, name)
	if i < 0 {
		return nil, fmt.Errorf("%s: no column %q, there are %s", s.name, name, strings.Join(s.columns, ", "))
	}
	out := make([]float64, len(s.rows))
	for k, row := range s.rows {
		v, err := number(row[i])
		if err != nil {
			return nil, fmt.Errorf("%s, row %d, %s: %w", s.name, k+2, name, err)
		}
		out[k] = v
	}
	return out, nil
}

func number(text string) (float64, error) {
	if text = strings.TrimSpace(text); text == "" {
		return math.NaN(), nil
	}
	return strconv.ParseFloat(text, 64)
}

// unpack calls each for the files of an archive, in its order.
func unpack(name string, each func(name string, r io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer z.Close()
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case h.Typeflag != tar.TypeReg:
			continue
		}
		if err := each(h.Name, files); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
