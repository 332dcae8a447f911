package deploy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"

	"go.yaml.in/yaml/v3"

	"github.com/release-assay/assay/internal/config"
)

// chart renders like helm, but for functions: those below are all that our
// templates may use, and a value that is not there is an error.
func chart(values map[string]any) (map[string]string, error) {
	var about map[string]any
	text, err := os.ReadFile("helm/assay/Chart.yaml")
	if err == nil {
		err = yaml.Unmarshal(text, &about)
	}
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for key, value := range about {
		fields[strings.ToUpper(key[:1])+key[1:]] = value
	}
	data := map[string]any{
		"Values": values, "Chart": fields,
		"Release": map[string]any{"Name": "demo", "Namespace": "tools", "Service": "Helm"},
	}
	all := template.New("").Option("missingkey=error")
	all.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var b strings.Builder
			err := all.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"toYaml": func(v any) (string, error) {
			text, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(text), "\n"), err
		},
		"nindent": func(n int, text string) string {
			pad := "\n" + strings.Repeat(" ", n)
			return pad + strings.ReplaceAll(text, "\n", pad)
		},
		"quote": func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"default": func(otherwise, v any) any {
			if v == nil || reflect.ValueOf(v).IsZero() {
				return otherwise
			}
			return v
		},
		"sha256sum": func(text string) string {
			sum := sha256.Sum256([]byte(text))
			return hex.EncodeToString(sum[:])
		},
	})
	files, err := filepath.Glob("helm/assay/templates/*")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil {
			_, err = all.New(filepath.Base(file)).Parse(string(text))
		}
		if err != nil {
			return nil, err
		}
	}
	out := map[string]string{}
	for _, file := range files {
		name := filepath.Base(file)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var b strings.Builder
		if err := all.ExecuteTemplate(&b, name, data); err != nil {
			return nil, err
		}
		out[name] = b.String()
	}
	return out, nil
}

// everythingOn switches on what is off by default.
const everythingOn = `
image: {tag: 9.9.9}
imagePullSecrets: [{name: registry}]
config:
  listeners: {http: "0.0.0.0:8080", otlp: {grpc: "0.0.0.0:4317", http: "0.0.0.0:4318"}}
  dataDir: /var/lib/assay
  kafka: {brokers: ["kafka:9093"], tls: {caFile: /etc/assay/secrets/ca.pem}}
  sources: {prom: {type: prometheus, url: "http://prometheus:9090"}}
policies:
  shop.yaml: |
    apiVersion: assay.dev/v1alpha1
    kind: ReleaseValidation
    metadata: {name: shop}
    spec:
      match: {service: shop}
      objectives: [{signal: http_server_errors, role: critical}]
environment: [{name: KAFKA_PASSWORD, valueFrom: {secretKeyRef: {name: kafka, key: password}}}]
secretName: kafka-tls
persistence: {size: 50Gi, storageClassName: fast}
service: {annotations: {team: release}}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
networkPolicy: {enabled: true, from: [{namespaceSelector: {matchLabels: {team: ci}}}]}
podAnnotations: {note: "yes"}
podLabels: {team: release}
nodeSelector: {disk: ssd}
tolerations: [{key: tools, operator: Exists}]
affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}}}
`

// A manifest is one object, as far as ours use the format. Decoding is strict, so
// that a key at the wrong place is found.
type manifest struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Data       map[string]string
	Spec       yaml.Node
}

type metadata struct {
	Name                string
	Labels, Annotations map[string]string
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type statefulSet struct {
	Spec struct {
		Replicas    int
		ServiceName string `yaml:"serviceName"`
		Selector    selector
		Template    struct {
			Metadata metadata
			Spec     podSpec
		}
		Claims []struct {
			Metadata metadata
			Spec     struct {
				AccessModes  []string `yaml:"accessModes"`
				StorageClass string   `yaml:"storageClassName"`
				Resources    struct{ Requests map[string]string }
			}
		} `yaml:"volumeClaimTemplates"`
	}
}

type podSpec struct {
	AutomountToken   *bool               `yaml:"automountServiceAccountToken"`
	ServiceLinks     *bool               `yaml:"enableServiceLinks"`
	Grace            int                 `yaml:"terminationGracePeriodSeconds"`
	ImagePullSecrets []map[string]string `yaml:"imagePullSecrets"`
	SecurityContext  struct {
		RunAsNonRoot bool                  `yaml:"runAsNonRoot"`
		RunAsUser    int                   `yaml:"runAsUser"`
		RunAsGroup   int                   `yaml:"runAsGroup"`
		FSGroup      int                   `yaml:"fsGroup"`
		Change       string                `yaml:"fsGroupChangePolicy"`
		Seccomp      struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers   []container
	Volumes      []volume
	NodeSelector map[string]string `yaml:"nodeSelector"`
	Tolerations  []map[string]string
	Affinity     map[string]any
}

type container struct {
	Name, Image     string
	ImagePullPolicy string `yaml:"imagePullPolicy"`
	Args            []string
	Env             []map[string]any
	Ports           []struct {
		Name string
		Port int `yaml:"containerPort"`
	}
	SecurityContext struct {
		Escalation *bool                   `yaml:"allowPrivilegeEscalation"`
		ReadOnly   bool                    `yaml:"readOnlyRootFilesystem"`
		Caps       struct{ Drop []string } `yaml:"capabilities"`
	} `yaml:"securityContext"`
	Startup   probe `yaml:"startupProbe"`
	Liveness  probe `yaml:"livenessProbe"`
	Readiness probe `yaml:"readinessProbe"`
	Resources struct{ Requests, Limits map[string]string }
	Mounts    []struct {
		Name     string
		Path     string `yaml:"mountPath"`
		SubPath  string `yaml:"subPath"`
		ReadOnly bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type probe struct {
	HTTP    struct{ Path, Port string } `yaml:"httpGet"`
	Period  int                         `yaml:"periodSeconds"`
	Timeout int                         `yaml:"timeoutSeconds"`
	Fails   int                         `yaml:"failureThreshold"`
}

type volume struct {
	Name      string
	ConfigMap *struct{ Name string } `yaml:"configMap"`
	EmptyDir  *struct{}              `yaml:"emptyDir"`
	Secret    *struct {
		Name string `yaml:"secretName"`
		Mode int    `yaml:"defaultMode"`
	}
}

type manifests []manifest

// render renders the chart with the default values and those given over them.
func render(t *testing.T, over string) (all manifests) {
	t.Helper()
	var values, more map[string]any
	strictly(t, "values.yaml", read(t, "helm/assay/values.yaml"), &values)
	if over != "" {
		strictly(t, "values", over, &more)
	}
	files, err := chart(merge(values, more))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if name == "NOTES.txt" {
			continue
		}
		d := yaml.NewDecoder(strings.NewReader(text))
		d.KnownFields(true)
		for {
			var m manifest
			err := d.Decode(&m)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, text)
			}
			all = append(all, m)
		}
	}
	return all
}

// merge lays values over others as helm does: maps are merged, all else replaced.
func merge(below, above map[string]any) map[string]any {
	for key, value := range above {
		inner, isMap := value.(map[string]any)
		if old, wasMap := below[key].(map[string]any); isMap && wasMap {
			value = merge(old, inner)
		}
		below[key] = value
	}
	return below
}

// get decodes the spec of the one object of a kind; false if there is none.
func (all manifests) get(t *testing.T, kind, name string, spec any) (manifest, bool) {
	t.Helper()
	i := slices.IndexFunc(all, func(m manifest) bool { return m.Kind == kind && m.Metadata.Name == name })
	if i < 0 {
		return manifest{}, false
	}
	if spec != nil {
		text, err := yaml.Marshal(&all[i].Spec)
		if err != nil {
			t.Fatal(err)
		}
		strictly(t, kind+" "+name, string(text), spec)
	}
	return all[i], true
}

func (all manifests) set(t *testing.T) (s statefulSet) {
	t.Helper()
	if _, ok := all.get(t, "StatefulSet", "demo", &s.Spec); !ok {
		t.Fatal("there is no StatefulSet")
	}
	return s
}

// TestChart holds the manifests of the default values, and of all values at once,
// against what Assay needs and what a restricted namespace admits.
func TestChart(t *testing.T) {
	for name, over := range map[string]string{"defaults": "", "everything": everythingOn, "nothing kept": "persistence: {enabled: false}"} {
		t.Run(name, func(t *testing.T) {
			all := render(t, over)
			for _, m := range all {
				if m.APIVersion == "" || m.Kind == "" || m.Metadata.Name == "" || m.Metadata.Labels["app.kubernetes.io/managed-by"] != "Helm" {
					t.Errorf("an object is not complete: %+v", m.Metadata)
				}
			}
			checkPod(t, all)
			checkService(t, all)
		})
	}
}

func checkPod(t *testing.T, all manifests) {
	s := all.set(t)
	pod := s.Spec.Template.Spec
	if s.Spec.Replicas != 1 || s.Spec.ServiceName != "demo" || !included(s.Spec.Selector.MatchLabels, s.Spec.Template.Metadata.Labels) {
		t.Errorf("the set: %+v", s.Spec.Selector)
	}
	// The restricted Pod Security Standard, and no token that nobody needs.
	sec := pod.SecurityContext
	if !sec.RunAsNonRoot || sec.RunAsUser != 65532 || sec.RunAsGroup != 65532 || sec.FSGroup != 65532 || sec.Seccomp.Type != "RuntimeDefault" {
		t.Errorf("the pod's security context: %+v", sec)
	}
	if pod.AutomountToken == nil || *pod.AutomountToken || pod.ServiceLinks == nil || *pod.ServiceLinks || pod.Grace < 15 {
		t.Error("the pod has a token, service links, or too little time to end")
	}
	c := pod.Containers[0]
	if e := c.SecurityContext.Escalation; len(pod.Containers) != 1 || e == nil || *e || !c.SecurityContext.ReadOnly || !slices.Equal(c.SecurityContext.Caps.Drop, []string{"ALL"}) {
		t.Errorf("the container's security context: %+v", c.SecurityContext)
	}
	if !regexp.MustCompile(`^ghcr\.io/release-assay/assay:\d+\.\d+\.\d+`).MatchString(c.Image) {
		t.Errorf("the image %q", c.Image)
	}
	if c.Startup.HTTP.Path != "/-/healthy" || c.Liveness.HTTP.Path != "/-/healthy" || c.Readiness.HTTP.Path != "/-/ready" {
		t.Errorf("probes: %q %q %q", c.Startup.HTTP.Path, c.Liveness.HTTP.Path, c.Readiness.HTTP.Path)
	}
	if c.Resources.Requests["memory"] == "" || c.Resources.Limits["memory"] == "" {
		t.Errorf("resources: %+v", c.Resources)
	}

	// What is mounted is there, and what is there is mounted.
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.ConfigMap != nil {
			if _, ok := all.get(t, "ConfigMap", v.ConfigMap.Name, nil); !ok {
				t.Errorf("there is no ConfigMap %s", v.ConfigMap.Name)
			}
		}
		if v.ConfigMap == nil && v.EmptyDir == nil && v.Secret == nil {
			t.Errorf("the volume %s is nothing", v.Name)
		}
	}
	for _, claim := range s.Spec.Claims {
		volumes[claim.Metadata.Name] = true
		if len(claim.Spec.AccessModes) != 1 || claim.Spec.Resources.Requests["storage"] == "" {
			t.Errorf("the claim %+v", claim.Spec)
		}
	}
	mounts := map[string]string{}
	for _, m := range c.Mounts {
		mounts[m.Name] = m.Path
		if !volumes[m.Name] {
			t.Errorf("there is no volume %s", m.Name)
		}
	}
	if len(mounts) != len(volumes) {
		t.Errorf("volumes %v, mounted %v", volumes, mounts)
	}

	// The files are those that the flags name, and Assay reads them.
	dir := t.TempDir()
	file, _ := all.get(t, "ConfigMap", "demo-config", nil)
	write(t, filepath.Join(dir, "assay.yaml"), file.Data["assay.yaml"])
	conf, err := config.Load(filepath.Join(dir, "assay.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ports(t, "values.yaml", conf)
	if conf.DataDir != mounts["data"] || !slices.Contains(c.Args, "--config="+mounts["config"]) {
		t.Errorf("data in %s, mounted at %s; arguments %v, configuration mounted at %s", conf.DataDir, mounts["data"], c.Args, mounts["config"])
	}
	policies, given := all.get(t, "ConfigMap", "demo-policies", nil)
	if flagged := slices.Contains(c.Args, "--policies="+mounts["policies"]); flagged != given {
		t.Errorf("policies: there %v, named %v", given, flagged)
	}
	if given {
		for name, text := range policies.Data {
			write(t, filepath.Join(dir, name), text)
			conf.Policies = append(conf.Policies, filepath.Join(dir, name))
		}
		if _, err := conf.LoadPolicies(); err != nil {
			t.Error(err)
		}
	}
}

func checkService(t *testing.T, all manifests) {
	s := all.set(t)
	var service struct {
		Type     string
		NotReady bool `yaml:"publishNotReadyAddresses"`
		Selector map[string]string
		Ports    []struct {
			Name   string
			Port   int
			Target string `yaml:"targetPort"`
		}
	}
	if _, ok := all.get(t, "Service", s.Spec.ServiceName, &service); !ok || !included(service.Selector, s.Spec.Template.Metadata.Labels) || !service.NotReady {
		t.Errorf("the service: %+v", service)
	}
	for i, p := range service.Ports {
		if c := s.Spec.Template.Spec.Containers[0].Ports[i]; c.Name != p.Target || c.Port != p.Port {
			t.Errorf("port %+v of the service, %+v of the container", p, c)
		}
	}
	var monitor struct {
		Job       string `yaml:"jobLabel"`
		Selector  selector
		Endpoints []struct {
			Port, Path, Interval string
			Honor                bool `yaml:"honorLabels"`
		}
	}
	if _, ok := all.get(t, "ServiceMonitor", "demo", &monitor); ok {
		m, _ := all.get(t, "Service", "demo", nil)
		if !included(monitor.Selector.MatchLabels, m.Metadata.Labels) || m.Metadata.Labels[monitor.Job] != "assay" || !monitor.Endpoints[0].Honor || monitor.Endpoints[0].Port != service.Ports[0].Name {
			t.Errorf("the monitor: %+v", monitor)
		}
	}
	var policy struct {
		Pods    selector `yaml:"podSelector"`
		Types   []string `yaml:"policyTypes"`
		Ingress []struct {
			From  []map[string]selector
			Ports []struct{ Port string }
		}
	}
	if _, ok := all.get(t, "NetworkPolicy", "demo", &policy); ok && (!included(policy.Pods.MatchLabels, s.Spec.Template.Metadata.Labels) || len(policy.Ingress) != 1) {
		t.Errorf("the policy: %+v", policy)
	}
}

// TestChartSwitches looks at what values switch on and off.
func TestChartSwitches(t *testing.T) {
	there := func(all manifests) string {
		var names []string
		for _, m := range all {
			names = append(names, m.Kind+"/"+m.Metadata.Name)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	if got, want := there(render(t, "")), "ConfigMap/demo-config Service/demo StatefulSet/demo"; got != want {
		t.Errorf("by default: %s, want %s", got, want)
	}
	if got, want := there(render(t, everythingOn)), "ConfigMap/demo-config ConfigMap/demo-policies NetworkPolicy/demo Service/demo ServiceMonitor/demo StatefulSet/demo"; got != want {
		t.Errorf("with everything: %s, want %s", got, want)
	}
	annotations := func(over string) map[string]string { return render(t, over).set(t).Spec.Template.Metadata.Annotations }
	if a, b := annotations(""), annotations("config: {dataDir: /data}"); a["checksum/config"] == b["checksum/config"] || a["checksum/policies"] != b["checksum/policies"] {
		t.Error("another configuration does not start another pod")
	}
	if claims := render(t, "persistence: {enabled: false}").set(t).Spec.Claims; len(claims) > 0 {
		t.Error("a claim without persistence")
	}
	set := render(t, everythingOn).set(t)
	pod := set.Spec.Template.Spec
	if set.Spec.Claims[0].Spec.StorageClass != "fast" || pod.Containers[0].Image != "ghcr.io/release-assay/assay:9.9.9" || pod.NodeSelector["disk"] != "ssd" ||
		len(pod.Tolerations) != 1 || pod.Affinity == nil || len(pod.ImagePullSecrets) != 1 || len(pod.Containers[0].Env) != 1 ||
		set.Spec.Template.Metadata.Labels["team"] != "release" || set.Spec.Template.Metadata.Annotations["note"] != "yes" {
		t.Errorf("a value has no effect: %+v", set.Spec)
	}
	if closed := render(t, "networkPolicy: {enabled: true}"); !strings.Contains(there(closed), "NetworkPolicy") {
		t.Error("no policy")
	} else {
		var spec map[string]any
		closed.get(t, "NetworkPolicy", "demo", &spec)
		if list, ok := spec["ingress"].([]any); !ok || len(list) != 0 {
			t.Errorf("a policy that names nobody lets in %v", spec["ingress"])
		}
	}
}

// TestChartUsesItsValues: a value that no template mentions does nothing.
func TestChartUsesItsValues(t *testing.T) {
	files, err := filepath.Glob("helm/assay/templates/*")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		all.WriteString(read(t, f))
	}
	var values map[string]any
	strictly(t, "values.yaml", read(t, "helm/assay/values.yaml"), &values)
	for key := range values {
		if !strings.Contains(all.String(), ".Values."+key) {
			t.Errorf("no template uses the value %s", key)
		}
	}
}

func included(some, all map[string]string) bool {
	for key, value := range some {
		if all[key] != value {
			return false
		}
	}
	return len(some) > 0
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
