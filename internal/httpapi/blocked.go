package httpapi

import (
	"encoding/json"

	"github.com/release-assay/assay/verdicts"
)

// blocked lets a verdict that is pending say what keeps everything waiting, where
// something does. A final one stays as it is, byte for byte.
func (s *server) blocked(body []byte) ([]byte, error) {
	if s.Blocked == nil {
		return body, nil
	}
	code, reason := s.Blocked()
	if code == "" {
		return body, nil
	}
	var v verdicts.Verdict
	if err := json.Unmarshal(body, &v); err != nil {
		return nil, err
	}
	if v.Final {
		return body, nil
	}
	v.ReasonCode, v.Reason = code, verdicts.Line(reason)
	if v.Advice == verdicts.Increase {
		v.Advice = verdicts.Keep
	}
	return encode(v)
}
