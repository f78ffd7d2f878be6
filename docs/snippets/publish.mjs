import pg from 'pg';

const db = new pg.Client({ connectionString: process.env.DATABASE_URL }); // of a pool: one client for the whole transaction
await db.connect();
try {
  await db.query('begin');
  await db.query("update documents set status = 'Export', total_amount = $1 where id = $2", ['12500.00', 42]);
  await db.query("select webhook.publish('document.exported', document_data($1))", [42]);

  const entry = {
    action: 'document_status_changed',
    entity_type: 'document',
    entity_id: 42,
    user: 'zoé',
    details: 'Status changed from "Approved" to "Export"',
    ip_address: '192.168.1.10',
  };
  const { rows } = await db.query(
    `insert into audit (action, entity_type, entity_id, "user", details, ip_address)
     values ($1, $2, $3, $4, $5, $6) returning audit_id::int, utc(logged_at) as logged_at`,
    Object.values(entry),
  );
  await db.query("select webhook.publish('audit.log', $1::json)", [JSON.stringify({ ...entry, ...rows[0] })]);
  await db.query('commit');
} catch (error) {
  await db.query('rollback').catch(() => {}); // a connection that broke has rolled back already
  throw error;
} finally {
  await db.end();
}
