import json
import os
from decimal import Decimal

import psycopg

with psycopg.connect(os.environ["DATABASE_URL"]) as conn:  # commits at the end, rolls back on an exception
    conn.execute(
        "update documents set status = 'Export', total_amount = %s where id = %s",
        (Decimal("12500.00"), 42),
    )
    conn.execute("select webhook.publish('document.exported', document_data(%s))", (42,))

    entry = {
        "action": "document_status_changed",
        "entity_type": "document",
        "entity_id": 42,
        "user": "zoé",
        "details": 'Status changed from "Approved" to "Export"',
        "ip_address": "192.168.1.10",
    }
    entry["audit_id"], entry["logged_at"] = conn.execute(
        """insert into audit (action, entity_type, entity_id, "user", details, ip_address)
           values (%(action)s, %(entity_type)s, %(entity_id)s, %(user)s, %(details)s, %(ip_address)s)
           returning audit_id, utc(logged_at)""",
        entry,
    ).fetchone()
    conn.execute("select webhook.publish('audit.log', %s::json)", (json.dumps(entry),))
