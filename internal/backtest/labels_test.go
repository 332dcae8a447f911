package backtest

import (
	"slices"
	"strings"
	"testing"
)

func TestReadLabels(t *testing.T) {
	for name, text := range map[string]string{
		"CSV":  "label,service,version,deployment\ngood,checkout,1.5.0,\nbad,,,d2\nbad,checkout,1.6.0,\n",
		"JSON": `{"service":"checkout","version":"1.5.0","label":"good"}` + "\n\n" + `{"deployment":"d2","label":"bad"}` + "\n" + `{"service":"checkout","version":"1.6.0","label":"bad"}`,
	} {
		labels, err := ReadLabels(strings.NewReader(text))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range []struct {
			of   Case
			want Truth
		}{
			{Case{Deployment: "d1", Service: "checkout", Version: "1.5.0"}, Good},
			{Case{Deployment: "d2", Service: "checkout", Version: "1.5.0"}, Bad}, // the deployment is worth more
			{Case{Deployment: "d3", Service: "cart", Version: "1.5.0"}, ""},
		} {
			if got := labels.Of(c.of); got != c.want {
				t.Errorf("%s: %+v is %q, want %q", name, c.of, got, c.want)
			}
		}
		if got := labels.Unused(); !slices.Equal(got, []string{"checkout 1.6.0"}) {
			t.Errorf("%s: unused are %q", name, got)
		}
	}
}

func TestLabelsThatCannotBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "no line that names the columns",
		"deployment,verdict\nd1,good\n":        `line 1: column "verdict" is not known (legal: deployment, service, version, label)`,
		"deployment,label\nd1,good\nd2,fine\n": `line 3: label "fine" is not known (legal: good, bad)`,
		"deployment,label\nd1,good\nd1,bad\n":  "line 3: deployment d1 is labelled both good and bad",
		"deployment,label\nd1\n":               "line 2: wrong number of fields",
		"service,label\ncheckout,good\n":       "line 2: it names neither a deployment nor a service and a version",
		`{"deployment":"d1","label":"good"}` + "\n" + `{"deployment":"d2","truth":"bad"}`: `line 2: json: unknown field "truth"`,
		`{"deployment":"d1"`: "line 1: ",
	} {
		if _, err := ReadLabels(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
