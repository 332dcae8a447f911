package gather

import (
	"context"

	"github.com/release-assay/assay/sources"
)

// Inquire puts the question of a person to one source, when a plan would be put to
// it: folds go first, and a source that is to be left alone is. Unlike those of plans
// the answer is neither kept nor shared, so that who only looks changes nothing that a
// validation learns. op names the question in errors and metrics.
func Inquire[T any](ctx context.Context, g *Gatherer, source, op string, ask func(sources.Source) (T, error)) (T, error) {
	return put(ctx, g, plans, source, op, ask)
}
