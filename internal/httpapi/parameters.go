package httpapi

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// taking is a handler of an address that has these parameters and no others: one that
// is mistyped would be a question that nobody has asked.
func taking(h http.HandlerFunc, legal ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := onlyKnown(r.URL.RawQuery, legal); err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
		h(w, r)
	}
}

func onlyKnown(query string, legal []string) error {
	q, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("the parameters cannot be read: %w", err)
	}
	for key := range q {
		if !slices.Contains(legal, key) {
			return fmt.Errorf("parameter %q is not known (legal: %s)", key, cmp.Or(strings.Join(legal, ", "), "none"))
		}
	}
	return nil
}

// number reads a parameter from least to most, 0 where it is not given.
func number[N int | int64](q url.Values, name string, least, most N) (N, error) {
	text := q.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < int64(least) || n > int64(most) {
		return 0, fmt.Errorf("%s must be a number from %d to %d", name, least, most)
	}
	return N(n), nil
}

// flag reads a parameter that is true or false, false where it is not given.
func flag(q url.Values, name string) (bool, error) {
	switch q.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fmt.Errorf("%s must be true or false", name)
}
