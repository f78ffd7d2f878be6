package outbox

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
)

// webhookID is the webhook-id header of an event, the same on every attempt: instance, id, and the
// beginning of a SHA-256 of what the row contains. A restored backup, or a failover that lost commits,
// assigns ids again; the id alone would then stand for two bodies, and a receiver that deduplicates
// would drop the second one. webhook.webhook_id computes the same value in SQL.
func webhookID(ev Event) string {
	h := sha256.New()
	_, _ = io.WriteString(h, ev.Name+"\n"+ev.OccurredAt+"\n")
	_, _ = h.Write(ev.Data)
	return ev.Endpoint.InstanceID + "-" + strconv.FormatInt(ev.ID, 10) + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}
