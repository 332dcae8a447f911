package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/release-assay/assay/analysis"
	"github.com/release-assay/assay/verdicts"
)

// agree returns the first contradiction between the members of a bundle. Write
// and Open ask the same question, so that nothing is sealed that does not open.
func agree(plan, verdict, findings []byte, looks File) error {
	var p struct {
		Validation analysis.ValidationID `json:"validation"`
	}
	if err := json.Unmarshal(plan, &p); err != nil {
		return fmt.Errorf("%s is no plan: %w", planJSON, err)
	}
	var v verdicts.Verdict
	if err := json.Unmarshal(verdict, &v); err != nil {
		return fmt.Errorf("%s is no verdict: %w", verdictJSON, err)
	}
	inVerdict, err := findingsIn(verdict)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(plan)
	planDigest, evidenceDigest := digest(sum[:]), "sha256:"+looks.SHA256
	switch {
	case v.Schema != verdicts.Schema:
		return fmt.Errorf("%s has schema %q; want %q", verdictJSON, v.Schema, verdicts.Schema)
	case v.PlanDigest != planDigest:
		return fmt.Errorf("%s is not the verdict's plan: its digest is %s, the verdict names %q", planJSON, planDigest, v.PlanDigest)
	case v.EvidenceDigest != evidenceDigest:
		return fmt.Errorf("%s is not the verdict's evidence: its digest is %s, the verdict names %q", looksJSONL, evidenceDigest, v.EvidenceDigest)
	case !bundleName.MatchString(Name(v.ValidationID)):
		return fmt.Errorf("%s has the validation id %q, which names no file", verdictJSON, v.ValidationID)
	case v.ValidationID != p.Validation:
		return fmt.Errorf("%s is of validation %q, %s of %q", planJSON, p.Validation, verdictJSON, v.ValidationID)
	case v.Bundle != Name(v.ValidationID):
		return fmt.Errorf("%s names the bundle %q; want %q", verdictJSON, v.Bundle, Name(v.ValidationID))
	case !bytes.Equal(inVerdict, findings):
		return fmt.Errorf("%s differs from the findings in %s", findingsJSON, verdictJSON)
	}
	return nil
}

// findingsIn returns the findings of a verdict as it spells them.
func findingsIn(verdict []byte) ([]byte, error) {
	var v struct {
		Findings json.RawMessage `json:"findings"`
	}
	if err := json.Unmarshal(verdict, &v); err != nil {
		return nil, fmt.Errorf("%s is no verdict: %w", verdictJSON, err)
	}
	return v.Findings, nil
}
