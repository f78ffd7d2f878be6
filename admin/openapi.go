package admin

import (
	"bytes"
	"net/http"
	"time"

	"github.com/recordengine/webhooks/docs"
)

// openAPI serves the description of the requests, for the developer of a receiver.
func (s *site) openAPI(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	http.ServeContent(w, r, "openapi.yaml", time.Time{}, bytes.NewReader(docs.OpenAPI))
	return nil
}
