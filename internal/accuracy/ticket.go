package accuracy

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A TicketDay is one period of the nezha-trainticket recording: what the pods of a
// train-ticket application wrote and which spans they made, a few minutes around each
// fault.
type TicketDay struct {
	Name   string
	Faults []TicketFault
	Lines  []TicketLine // by time
	Spans  []TicketSpan // by their end
}

// A TicketFault is one fault that was injected.
type TicketFault struct {
	At      time.Time
	Service string
	Kind    string
	// Near are the log statements around a defect of the code, as Class#line; of other
	// faults there are none.
	Near []string
}

// A TicketLine is one log entry, as the container's runtime kept it: a JSON object whose
// field "log" is the line.
type TicketLine struct {
	At      time.Time
	Pod     string
	TraceID string
	SpanID  string
	Raw     string
}

// A TicketSpan is one span. The recording knows neither kinds nor statuses.
type TicketSpan struct {
	TraceID, SpanID, ParentID string // ParentID is empty for a root
	Pod, Operation            string
	Start, End                time.Time
}

// ReadTicket reads the days of the recording in a folder.
func ReadTicket(dir string) ([]TicketDay, error) {
	lists, err := filepath.Glob(filepath.Join(dir, "*", "fault_list.json"))
	if err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("%s: no fault_list.json in any folder", dir)
	}
	slices.Sort(lists)
	var days []TicketDay
	for _, list := range lists {
		day, err := readTicketDay(filepath.Dir(list))
		if err != nil {
			return nil, err
		}
		days = append(days, day)
	}
	return days, nil
}

func readTicketDay(dir string) (TicketDay, error) {
	day := TicketDay{Name: filepath.Base(dir)}
	var err error
	if day.Faults, err = readTicketFaults(filepath.Join(dir, "fault_list.json")); err != nil {
		return day, err
	}
	// Rows repeat between files, and files hold rows of other days: neither the file that a
	// row is in nor how often it is there says anything.
	lines, spans := map[TicketLine]bool{}, map[[2]string]bool{}
	for _, folder := range []string{"log", "trace", "fault_free"} {
		files, err := filepath.Glob(filepath.Join(dir, folder, "*.csv.gz"))
		if err != nil {
			return day, err
		}
		slices.Sort(files)
		for _, name := range files {
			each := func(row map[string]string) error {
				line, err := ticketLine(row)
				if err == nil && !lines[line] && line.At.Format(time.DateOnly) == day.Name {
					lines[line] = true
					day.Lines = append(day.Lines, line)
				}
				return err
			}
			if strings.Contains(filepath.Base(name), "trace") {
				each = func(row map[string]string) error {
					span, err := ticketSpan(row)
					if key := [2]string{span.TraceID, span.SpanID}; err == nil && !spans[key] && span.End.Format(time.DateOnly) == day.Name {
						spans[key] = true
						day.Spans = append(day.Spans, span)
					}
					return err
				}
			}
			if err := eachRow(name, each); err != nil {
				return day, err
			}
		}
	}
	slices.SortStableFunc(day.Lines, func(a, b TicketLine) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Pod, b.Pod), cmp.Compare(a.Raw, b.Raw))
	})
	slices.SortStableFunc(day.Spans, func(a, b TicketSpan) int {
		return cmp.Or(a.End.Compare(b.End), cmp.Compare(a.TraceID, b.TraceID), cmp.Compare(a.SpanID, b.SpanID))
	})
	return day, nil
}

func readTicketFaults(name string) ([]TicketFault, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var listed []struct {
		Time    string `json:"inject_time"` // UTC; the field inject_timestamp is wrong in places
		Kind    string `json:"inject_type"`
		Service string `json:"service"`
		Cause   string `json:"root_cause"`
	}
	if err := json.Unmarshal(text, &listed); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out []TicketFault
	for i, l := range listed {
		at, err := time.Parse(time.DateTime, l.Time)
		if err != nil {
			return nil, fmt.Errorf("%s, fault %d: %w", name, i+1, err)
		}
		f := TicketFault{At: at, Service: l.Service, Kind: l.Kind}
		if strings.Contains(l.Cause, "#") {
			f.Near = strings.Split(l.Cause, "_")
		}
		out = append(out, f)
	}
	return out, nil
}

func ticketLine(row map[string]string) (TicketLine, error) {
	at, err := unixNano(row["TimeUnixNano"])
	return TicketLine{At: at, Pod: row["PodName"], TraceID: row["TraceID"], SpanID: row["SpanID"], Raw: row["Log"]}, err
}

func ticketSpan(row map[string]string) (TicketSpan, error) {
	start, err1 := unixNano(row["StartTimeUnixNano"])
	end, err2 := unixNano(row["EndTimeUnixNano"])
	s := TicketSpan{TraceID: row["TraceID"], SpanID: row["SpanID"], ParentID: row["ParentID"], Pod: row["PodName"], Operation: row["OperationName"], Start: start, End: end}
	if s.ParentID == "root" {
		s.ParentID = ""
	}
	err := errors.Join(err1, err2)
	if err == nil && (len(s.TraceID) != 32 || len(s.SpanID) != 16 || end.Before(start)) {
		err = fmt.Errorf("span %q of trace %q from %v to %v is none", s.SpanID, s.TraceID, start, end)
	}
	return s, err
}

func unixNano(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, n).UTC(), err
}

// eachRow calls each for the rows of a CSV file, by the names of its columns.
func eachRow(name string, each func(row map[string]string) error) error {
	return unzip(name, func(name string, r io.Reader) error {
		rows := csv.NewReader(r)
		rows.ReuseRecord = true
		head, err := rows.Read()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		columns := slices.Clone(head)
		for i := 2; ; i++ {
			record, err := rows.Read()
			if errors.Is(err, io.EOF) {
				return nil
			}
			row := make(map[string]string, len(columns))
			for k, value := range record {
				row[columns[k]] = strings.Clone(value)
			}
			if err == nil {
				err = each(row)
			}
			if err != nil {
				return fmt.Errorf("%s, row %d: %w", name, i, err)
			}
		}
	})
}
