// Command go shows how a Go application publishes events; see docs/publish.md.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"

	"github.com/jmoiron/sqlx"
	_ "github.com/lib/pq"
)

type auditEntry struct {
	AuditID    int64  `json:"audit_id" db:"audit_id"`
	Action     string `json:"action"`
	EntityType string `json:"entity_type"`
	EntityID   int64  `json:"entity_id"`
	User       string `json:"user"`
	Details    string `json:"details"`
	IPAddress  string `json:"ip_address"`
	LoggedAt   string `json:"logged_at" db:"logged_at"`
}

func main() {
	db, err := sqlx.Connect("postgres", os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	if err := export(context.Background(), db, 42, "12500.00"); err != nil {
		log.Fatal(err)
	}
}

func export(ctx context.Context, db *sqlx.DB, id int64, total string) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing once it is committed

	if _, err := tx.ExecContext(ctx, `update documents set status = 'Export', total_amount = $1 where id = $2`, total, id); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `select webhook.publish('document.exported', document_data($1))`, id); err != nil {
		return err
	}

	entry := auditEntry{Action: "document_status_changed", EntityType: "document", EntityID: id, User: "zoé",
		Details: `Status changed from "Approved" to "Export"`, IPAddress: "192.168.1.10"}
	if err := tx.GetContext(ctx, &entry, `
		insert into audit (action, entity_type, entity_id, "user", details, ip_address)
		values ($1, $2, $3, $4, $5, $6) returning audit_id, utc(logged_at) as logged_at`,
		entry.Action, entry.EntityType, entry.EntityID, entry.User, entry.Details, entry.IPAddress); err != nil {
		return err
	}
	data, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `select webhook.publish('audit.log', $1::json)`, string(data)); err != nil {
		return err
	}
	return tx.Commit()
}
