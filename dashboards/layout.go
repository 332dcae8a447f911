package dashboards

import (
	"cmp"
	"maps"
	"slices"
)

// columns is the width of Grafana's grid.
const columns = 24

// A row is a heading and the panels below it. Collapsed, it is for those who look
// for something.
type row struct {
	title     string
	collapsed bool
	panels    []Panel
}

// layout places the rows below each other and their panels from left to right, and
// numbers all.
func layout(rows ...row) []Panel {
	var out []Panel
	id, y := 0, 0
	number := func() int { id++; return id }
	for _, r := range rows {
		collapsed := r.collapsed
		heading := Panel{ID: number(), Type: "row", Title: r.title, GridPos: GridPos{Y: y, W: columns, H: 1}, Collapsed: &collapsed}
		y++
		x, height := 0, 0
		var placed []Panel
		for _, p := range r.panels {
			if x+p.GridPos.W > columns {
				x, y, height = 0, y+height, 0
			}
			p.ID, p.GridPos.X, p.GridPos.Y = number(), x, y
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
			placed = append(placed, p)
		}
		y += height
		if r.collapsed {
			heading.Panels, placed = placed, nil
		}
		out = append(append(out, heading), placed...)
	}
	return out
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
