package intake

import (
	"github.com/go-json-experiment/json"

	"github.com/release-assay/assay/analysis"
)

// deploymentOf returns the deployment id that the data of an event of an unsupported
// schema carries where today's events do; none is no fault. The data was scanned
// before its schema was looked at.
func deploymentOf(data []byte) analysis.DeploymentID {
	var e struct {
		CustomData struct {
			Assay struct {
				DeploymentID string `json:"deploymentId"`
			} `json:"assay"`
		} `json:"customData"`
	}
	if json.Unmarshal(data, &e, scanned) != nil || checkID(e.CustomData.Assay.DeploymentID) != nil {
		return ""
	}
	return analysis.DeploymentID(e.CustomData.Assay.DeploymentID)
}
