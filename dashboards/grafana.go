package dashboards

import (
	"bytes"
	"encoding/json"
)

// A Dashboard is Grafana's classic JSON model, as far as ours need it.
type Dashboard struct {
	UID           string      `json:"uid"` // stable: links and bookmarks depend on it
	Title         string      `json:"title"`
	Description   string      `json:"description"`
	Tags          []string    `json:"tags"`
	Editable      bool        `json:"editable"` // false: the code is the truth
	GraphTooltip  int         `json:"graphTooltip"`
	Refresh       string      `json:"refresh"`
	SchemaVersion int         `json:"schemaVersion"`
	Time          TimeRange   `json:"time"`
	Timezone      string      `json:"timezone"`
	Annotations   Annotations `json:"annotations"`
	Links         []Link      `json:"links"`
	Templating    Templating  `json:"templating"`
	Panels        []Panel     `json:"panels"`
}

// JSON is the file that ships.
func (d Dashboard) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(d)
	return b.Bytes(), err
}

// TimeRange is what is shown at first.
type TimeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Datasource names where a query goes, by a variable of the dashboard.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Annotations are marks on the time axis of all panels.
type Annotations struct {
	List []Annotation `json:"list"`
}

// An Annotation is a query whose answers are marks.
type Annotation struct {
	Name            string     `json:"name"`
	Datasource      Datasource `json:"datasource"`
	Enable          bool       `json:"enable"`
	IconColor       string     `json:"iconColor"`
	Expr            string     `json:"expr"`
	Step            string     `json:"step"`
	TitleFormat     string     `json:"titleFormat"`
	TextFormat      string     `json:"textFormat"`
	TagKeys         string     `json:"tagKeys"`
	UseValueForTime bool       `json:"useValueForTime"`
}

// A Link leads from the dashboard, a panel or a value to somewhere else.
type Link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	URL         string   `json:"url,omitempty"`
	AsDropdown  bool     `json:"asDropdown,omitempty"`
	IncludeVars bool     `json:"includeVars,omitempty"`
	KeepTime    bool     `json:"keepTime,omitempty"`
	TargetBlank bool     `json:"targetBlank,omitempty"`
}

// Templating holds the variables of a dashboard.
type Templating struct {
	List []Variable `json:"list"`
}

// A Variable is chosen at the top of a dashboard.
type Variable struct {
	Name       string      `json:"name"`
	Label      string      `json:"label"`
	Type       string      `json:"type"` // datasource or query
	Query      any         `json:"query"`
	Definition string      `json:"definition,omitempty"`
	Datasource *Datasource `json:"datasource,omitempty"`
	Current    *Current    `json:"current,omitempty"`
	Regex      string      `json:"regex"`
	IncludeAll bool        `json:"includeAll"`
	AllValue   string      `json:"allValue,omitempty"`
	Multi      bool        `json:"multi"`
	Refresh    int         `json:"refresh"` // 2: when the time range changes
	Sort       int         `json:"sort"`
}

// Current is what a variable is at first.
type Current struct {
	Text  any `json:"text"`
	Value any `json:"value"`
}

// VariableQuery asks Prometheus for the values of a label.
type VariableQuery struct {
	Query string `json:"query"`
	RefID string `json:"refId"`
}

// A Panel is one picture, or a row that holds some.
type Panel struct {
	ID              int              `json:"id"`
	Type            string           `json:"type"`
	Title           string           `json:"title"`
	Description     string           `json:"description,omitempty"`
	GridPos         GridPos          `json:"gridPos"`
	Datasource      *Datasource      `json:"datasource,omitempty"`
	Targets         []Target         `json:"targets,omitempty"`
	FieldConfig     *FieldConfig     `json:"fieldConfig,omitempty"`
	Options         map[string]any   `json:"options,omitempty"`
	Transformations []Transformation `json:"transformations,omitempty"`

	Collapsed *bool   `json:"collapsed,omitempty"` // of rows
	Panels    []Panel `json:"panels,omitempty"`    // of collapsed rows
}

// GridPos is a place on a grid of 24 columns.
type GridPos struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// A Target is one query of a panel.
type Target struct {
	RefID        string     `json:"refId"`
	Datasource   Datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
	Instant      bool       `json:"instant"`
	Range        bool       `json:"range"`
	Format       string     `json:"format"`
}

// FieldConfig says how values look.
type FieldConfig struct {
	Defaults  Field      `json:"defaults"`
	Overrides []Override `json:"overrides"`
}

// A Field is how the values of one series or column look.
type Field struct {
	Unit       string         `json:"unit"`
	Decimals   *int           `json:"decimals,omitempty"`
	Min        *float64       `json:"min,omitempty"`
	NoValue    string         `json:"noValue,omitempty"`
	Color      map[string]any `json:"color,omitempty"`
	Thresholds *Thresholds    `json:"thresholds,omitempty"`
	Mappings   []Mapping      `json:"mappings,omitempty"`
	Links      []Link         `json:"links,omitempty"`
	Custom     map[string]any `json:"custom,omitempty"`
}

// Thresholds colour a value by its size.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// A Step is the colour from a value on; of the first one the value is null.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// A Mapping gives values words and colours.
type Mapping struct {
	Type    string            `json:"type"`
	Options map[string]Mapped `json:"options"`
}

// Mapped is what is shown for a value.
type Mapped struct {
	Text  string `json:"text,omitempty"`
	Color string `json:"color"`
	Index int    `json:"index"`
}

// An Override is another look for some fields.
type Override struct {
	Matcher    Matcher    `json:"matcher"`
	Properties []Property `json:"properties"`
}

// A Matcher picks fields.
type Matcher struct {
	ID      string `json:"id"`
	Options string `json:"options"`
}

// A Property is one setting of an override.
type Property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// A Transformation changes the table before it is shown.
type Transformation struct {
	ID      string         `json:"id"`
	Options map[string]any `json:"options"`
}
