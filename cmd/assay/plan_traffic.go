package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/release-assay/assay/analysis"
)

// trafficFlags describe the traffic of a service without asking anybody.
type trafficFlags struct {
	rps            float64
	errorRate, slo string
	phi            float64

	rate, target float64 // as read
}

// trafficNames are the flags of trafficFlags.
var trafficNames = []string{"rps", "error-rate", "slo", "phi"}

func (v *trafficFlags) add(f *pflag.FlagSet) {
	f.Float64Var(&v.rps, "rps", 0, "requests a second, of canary and baseline together")
	f.StringVar(&v.errorRate, "error-rate", "", "share of them that fails, e.g. 0.1%")
	f.StringVar(&v.slo, "slo", "", "target of the share that does not fail, e.g. 99.9%")
	f.Float64Var(&v.phi, "phi", 1.2, "how much more errors vary than by chance (1): 1.2 is usual, 3 is assumed without history")
}

// check reads the flags. It returns every fault, joined.
func (v *trafficFlags) check() error {
	var faults []error
	if !(v.rps > 0 && v.rps <= 1e9) {
		faults = append(faults, fmt.Errorf("--rps %v must be positive, at most 1e9", v.rps))
	}
	var err error
	if v.errorRate == "" {
		faults = append(faults, errors.New("--error-rate is required with --rps, e.g. 0.1%"))
	} else if v.rate, err = shareOf("--error-rate", v.errorRate); err != nil {
		faults = append(faults, err)
	}
	if v.slo != "" {
		if v.target, err = shareOf("--slo", v.slo); err != nil {
			faults = append(faults, err)
		}
	}
	if !(v.phi >= 1 && v.phi <= 100) {
		faults = append(faults, fmt.Errorf("--phi %v must be between 1 (chance alone) and 100", v.phi))
	}
	return errors.Join(faults...)
}

// shareOf reads a share that is neither nothing nor all.
func shareOf(flag, text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	if percent {
		number += "e-2" // exactly, as a division is not
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !(v > 0 && v < 1) {
		return 0, fmt.Errorf("%s %q is no share between 0 and 1 (write 0.1%% or 0.001)", flag, text)
	}
	return v, nil
}

// grounds are those of a service with one critical share of errors, that was quiet for a
// day.
func (v *trafficFlags) grounds(service string, deadline time.Duration) planGrounds {
	const hour, day = 60, 24 * 60 // minutes
	n := v.rps * 60
	history := analysis.History{
		Calibrated: true, Minutes: day, Phi0: [3]float64{v.phi, v.phi, v.phi},
		Bad: max(0, v.rate*n*day-.5), Exposure: n * day, // history's rate adds the half again
		BadHour: v.rate * n * hour, HourTotal: n * hour, HourSpan: hour,
	}
	events := &analysis.Selector{Metric: "requests_total"}
	in := analysis.PlanInput{
		Deployment: analysis.Deployment{
			ID: "plan", Attempt: 1, Mode: analysis.Live, MaxDuration: analysis.Duration(deadline),
			Release: analysis.Release{Service: service, Version: "next"},
		},
		Policy: analysis.Policy{
			Name: "command line", Window: analysis.DefaultWindow(), AlphaRollback: analysis.DefaultAlphaRollback, AlphaPromote: analysis.DefaultAlphaPromote,
			Objectives: []analysis.Objective{{
				Name: "errors", Role: analysis.Critical, Target: v.target,
				Signal: analysis.Signal{Name: "errors", Source: "flags", Unit: "1", Shape: analysis.ShapeRatio, Bad: events, Total: events},
			}},
		},
	}
	facts := []analysis.Facts{{Spacing: analysis.DefaultCadence, History: history}}
	return planGrounds{in: in, facts: func(analysis.PlanInput) []analysis.Facts { return facts }}
}
