package otlp

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/analysis/logdiff"
)

// trees keeps the compiled templates of the plans that ask. They are only matched, which
// several may do at once.
type trees struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte]*logdiff.Tree
}

// maxTrees bounds them; all go when one more is needed, which costs little.
const maxTrees = 256

func (t *trees) compile(set *analysis.TemplateSet) (*logdiff.Tree, error) {
	if set == nil {
		return noTemplates, nil
	}
	digest := sha256.New()
	for _, template := range set.Templates {
		fmt.Fprintf(digest, "%q %q\n", template.ID, template.Text)
	}
	fmt.Fprintf(digest, "%q", set.Masks)
	key := [sha256.Size]byte(digest.Sum(nil))
	t.mu.Lock()
	defer t.mu.Unlock()
	if tree := t.kept[key]; tree != nil {
		return tree, nil
	}
	tree, err := logdiff.Compile(set)
	if err != nil {
		return nil, err
	}
	if t.kept == nil || len(t.kept) >= maxTrees {
		t.kept = map[[sha256.Size]byte]*logdiff.Tree{}
	}
	t.kept[key] = tree
	return tree, nil
}
