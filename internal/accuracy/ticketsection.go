package accuracy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// A TicketAnswer is what was said about the services of a case.
type TicketAnswer struct {
	Case     TicketCase
	Verdicts map[string]verdicts.Verdict // by service, final
}

// firstListed is how many differences a reader looks at.
const firstListed = 5

// Rank is the place of the first listed difference that is a template or a span of the
// service of the fault; 0: there is none.
func (a TicketAnswer) Rank() int {
	return 1 + slices.IndexFunc(a.Verdicts[a.Case.Service].Differences, func(d analysis.Difference) bool {
		return d.Service == a.Case.Service && (d.Template != "" || d.Edge != nil)
	})
}

// Elsewhere are the services without a fault of which something was found.
func (a TicketAnswer) Elsewhere() (services []string) {
	for service, v := range a.Verdicts {
		if service != a.Case.Service && slices.ContainsFunc(v.Differences, func(d analysis.Difference) bool { return d.Found }) {
			services = append(services, service)
		}
	}
	slices.Sort(services)
	return services
}

// TicketSection tells of each case what was said about the service of the fault, and what
// was found of others.
func TicketSection(answers []TicketAnswer) Section {
	var b strings.Builder
	fmt.Fprintln(&b, "| deployment | verdict | reason | listed first | other services: held, with a finding |\n|---|---|---|---|---|")
	for _, a := range answers {
		v := a.Verdicts[a.Case.Service]
		first := "nothing"
		if rank := a.Rank(); rank > 0 {
			first = fmt.Sprintf("%d.: %s", rank, cell(v.Differences[rank-1].What))
		}
		held := 0
		for service, other := range a.Verdicts {
			if service != a.Case.Service && other.Verdict == verdicts.Hold {
				held++
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %d of %d, %d |\n", a.Case.Name, v.Verdict, v.ReasonCode, first, held, len(a.Verdicts)-1, len(a.Elsewhere()))
	}
	return Section{
		Title: "Logs and spans: nezha-trainticket",
		Text: `A train-ticket application of 28 services, one pod each, its lines and spans a few minutes around eight faults. They are replayed through
the OTLP receiver by the recording's clock; at each fault all services are deployed, of which only one was changed, and compared
with the minute or two before. One pod before and after, a minute against three: nothing can be told with any confidence, and the
right verdict is a hold. What is asked is whether the differences listed first are of the right service. The recording
knows neither statuses nor kinds of spans; a span whose parent is of another pod serves, the parent calls. Eight rows are no rates.`,
		Found: b.String(),
	}
}

// cell makes text fit for a table.
func cell(text string) string {
	text = strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
	return verdicts.Shorten(text, 120)
}

// MissedTickets returns what should have been said of the recording and was not.
func MissedTickets(answers []TicketAnswer) []string {
	var out []string
	miss := func(a TicketAnswer, format string, args ...any) {
		out = append(out, "nezha-trainticket, "+a.Case.Name+": "+fmt.Sprintf(format, args...))
	}
	for _, a := range answers {
		for _, service := range a.Case.Services {
			if v := a.Verdicts[service]; v.Verdict != verdicts.Hold {
				miss(a, "%s is answered %s (%s), not held", service, v.Verdict, v.Reason)
			}
		}
		if rank := a.Rank(); a.Case.Truth == Bad && (rank == 0 || rank > firstListed) {
			miss(a, "no template or span of the service among the first %d differences", firstListed)
		}
		if others := a.Elsewhere(); len(others) > 0 {
			miss(a, "something is found of %v", others)
		}
	}
	return out
}
