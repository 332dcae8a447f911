package deploy

import (
	"bytes"
	"net"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/dashboards"
	"github.com/release-assay/assay/internal/config"
)

// stack is compose.yaml, as far as ours uses the format.
type stack struct {
	Name     string
	Services map[string]struct {
		Image string
		Build *struct {
			Context    string
			Dockerfile string
		}
		Command     []string
		Environment map[string]string
		DependsOn   yaml.Node `yaml:"depends_on"`
		Ports       []string
		Volumes     []string
		ReadOnly    bool `yaml:"read_only"`
		Tmpfs       []string
		CapDrop     []string `yaml:"cap_drop"`
		SecurityOpt []string `yaml:"security_opt"`
		Healthcheck *struct {
			Test              []string
			Interval, Timeout string
			Retries           int
			Start             string `yaml:"start_period"`
		}
		Restart         string
		StopGracePeriod string `yaml:"stop_grace_period"`
	}
	Volumes map[string]struct{}
}

// strictly decodes YAML in which every key has to be known.
func strictly(t *testing.T, name, text string, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(text)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// list reads a list in YAML, or JSON.
func list(t *testing.T, text string) (items []string) {
	t.Helper()
	strictly(t, text, text, &items)
	return items
}

func compose(t *testing.T) (s stack) {
	t.Helper()
	strictly(t, "compose.yaml", read(t, "compose/compose.yaml"), &s)
	return s
}

// TestComposeFiles wants every mounted file to exist, every named volume to be
// declared and used, every image to have a version, and every dependency a service.
func TestComposeFiles(t *testing.T) {
	s := compose(t)
	for _, needed := range []string{"assay", "kafka", "prometheus", "loki", "grafana"} {
		if _, ok := s.Services[needed]; !ok {
			t.Errorf("there is no service %s", needed)
		}
	}
	used := map[string]bool{}
	for name, service := range s.Services {
		if !regexp.MustCompile(`^(assay:local|docker\.io/\S+:v?\d+\.\d+\.\d+)$`).MatchString(service.Image) {
			t.Errorf("%s: the image %s has no registry, or no version", name, service.Image)
		}
		if b := service.Build; b != nil {
			if _, err := os.Stat(filepath.Join("compose", b.Context, b.Dockerfile)); err != nil {
				t.Error(err)
			}
		}
		for _, v := range service.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if !strings.HasPrefix(from, ".") {
				used[from] = true
				if _, ok := s.Volumes[from]; !ok {
					t.Errorf("%s: the volume %s is not declared", name, from)
				}
				continue
			}
			if _, err := os.Stat(filepath.Join("compose", from)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !strings.HasSuffix(v, ":ro") {
				t.Errorf("%s may write to %s", name, from)
			}
		}
		var depends map[string]yaml.Node
		if service.DependsOn.Kind == yaml.SequenceNode {
			var names []string
			if err := service.DependsOn.Decode(&names); err != nil {
				t.Error(err)
			}
			depends = map[string]yaml.Node{}
			for _, n := range names {
				depends[n] = yaml.Node{}
			}
		} else if err := service.DependsOn.Decode(&depends); err != nil {
			t.Error(err)
		}
		for other := range depends {
			if _, ok := s.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is no service", name, other)
			}
		}
		for _, p := range service.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s: the port %s is open to the network", name, p)
			}
		}
	}
	for volume := range s.Volumes {
		if !used[volume] {
			t.Errorf("nobody uses the volume %s", volume)
		}
	}
	assay := s.Services["assay"]
	if !assay.ReadOnly || !slices.Equal(assay.CapDrop, []string{"ALL"}) || !slices.Equal(assay.SecurityOpt, []string{"no-new-privileges:true"}) {
		t.Error("assay has more rights than it needs")
	}
}

// TestComposeWorksTogether follows the addresses from one service to another.
func TestComposeWorksTogether(t *testing.T) {
	s := compose(t)
	c, err := config.Load("compose/assay.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.LoadPolicies(); err != nil {
		t.Error(err)
	}
	ports(t, "compose/assay.yaml", c)
	for _, address := range []string{c.Listeners.HTTP, c.Listeners.OTLP.GRPC, c.Listeners.OTLP.HTTP} {
		if p := port(t, address); !slices.Contains(s.Services["assay"].Ports, "127.0.0.1:"+p+":"+p) {
			t.Errorf("the port %s of assay is not published", p)
		}
	}
	if !slices.Contains(s.Services["assay"].Volumes, "assay:"+c.DataDir) {
		t.Errorf("the data directory %s is no volume", c.DataDir)
	}

	kafka := s.Services["kafka"].Environment
	for _, broker := range c.Kafka.Brokers {
		if !strings.Contains(kafka["KAFKA_ADVERTISED_LISTENERS"], "INSIDE://"+broker) {
			t.Errorf("Kafka does not advertise %s, which assay.yaml names", broker)
		}
	}
	for _, listener := range strings.Split(kafka["KAFKA_LISTENERS"], ",") {
		name, _, _ := strings.Cut(listener, "://")
		if !strings.Contains(kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"], name+":PLAINTEXT") {
			t.Errorf("the listener %s has no protocol", name)
		}
	}

	// Every http://service:port between the containers is a service, at the port that is published of it.
	for _, file := range []string{"compose/assay.yaml", "compose/prometheus.yml", "compose/grafana/provisioning/datasources/assay.yaml"} {
		for _, m := range regexp.MustCompile(`(?:http://|")([a-z]+):(\d+)`).FindAllStringSubmatch(read(t, file), -1) {
			if service, ok := s.Services[m[1]]; !ok || !slices.Contains(service.Ports, "127.0.0.1:"+m[2]+":"+m[2]) {
				t.Errorf("%s: %s:%s is no service of compose.yaml", file, m[1], m[2])
			}
		}
	}
	mounted := func(service, from, to string) {
		if !slices.ContainsFunc(s.Services[service].Volumes, func(v string) bool { return strings.HasPrefix(v, from+":"+to) }) {
			t.Errorf("%s does not see %s at %s", service, from, to)
		}
	}
	mounted("prometheus", "../../dashboards/alerts/assay.yaml", "/etc/prometheus/rules/assay.yaml")
	var provider struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type, Folder string
			DisableDeletion    bool `yaml:"disableDeletion"`
			AllowUIUpdates     bool `yaml:"allowUiUpdates"`
			Every              int  `yaml:"updateIntervalSeconds"`
			Options            struct{ Path string }
		}
	}
	strictly(t, "dashboards", read(t, "compose/grafana/provisioning/dashboards/assay.yaml"), &provider)
	mounted("grafana", "../../dashboards/json", provider.Providers[0].Options.Path)
	home := s.Services["grafana"].Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
	if _, ok := dashboards.All()[path.Base(home)]; !ok || path.Dir(home) != provider.Providers[0].Options.Path {
		t.Errorf("the home dashboard %s is none of ours", home)
	}
}

// TestScrapeKeepsOurLabels: without honor_labels the dashboards stay empty, and the
// alert rules know the job by its name.
func TestScrapeKeepsOurLabels(t *testing.T) {
	var prometheus struct {
		Global        map[string]string
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			Job         string `yaml:"job_name"`
			HonorLabels bool   `yaml:"honor_labels"`
			Static      []struct {
				Targets []string
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	strictly(t, "prometheus.yml", read(t, "compose/prometheus.yml"), &prometheus)
	job := prometheus.ScrapeConfigs[0]
	if job.Job != "assay" || !job.HonorLabels || !strings.Contains(read(t, "../dashboards/alerts/assay.yaml"), `up{job="assay"}`) {
		t.Errorf("%+v", job)
	}
}

// ports compares the ports of a process file with the defaults: documentation and
// senders know only those.
func ports(t *testing.T, where string, c config.Config) {
	t.Helper()
	defaults := config.Defaults()
	for _, pair := range [][2]string{
		{c.Listeners.HTTP, defaults.Listeners.HTTP}, {c.Listeners.OTLP.GRPC, defaults.Listeners.OTLP.GRPC}, {c.Listeners.OTLP.HTTP, defaults.Listeners.OTLP.HTTP},
	} {
		if got, want := port(t, pair[0]), port(t, pair[1]); got != want {
			t.Errorf("%s: port %s, the default is %s", where, got, want)
		}
	}
}

func port(t *testing.T, address string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestDefaultPorts holds those of the image and of the defaults together.
func TestDefaultPorts(t *testing.T) {
	d := config.Defaults().Listeners
	want := strings.Join([]string{port(t, d.HTTP), port(t, d.OTLP.GRPC), port(t, d.OTLP.HTTP)}, " ")
	for _, in := range instructions(t) {
		if in[0] == "EXPOSE" && in[1] != want {
			t.Errorf("EXPOSE %s, the defaults are %s", in[1], want)
		}
		if in[0] == "CMD" {
			for _, p := range strings.Fields(want) {
				if !strings.Contains(in[1], `"0.0.0.0:`+p+`"`) {
					t.Errorf("CMD does not listen on %s", p)
				}
			}
		}
	}
}
