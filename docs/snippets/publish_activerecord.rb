require "active_record"

ActiveRecord::Base.establish_connection(ENV.fetch("DATABASE_URL"))

class Document < ActiveRecord::Base
end

class Audit < ActiveRecord::Base
  self.table_name = "audit"
  self.primary_key = "audit_id"
end

# Not select_value or select_all: with the query cache on, the second of two equal events would be read
# from the cache, and not be published.
def execute(statement, *values)
  ActiveRecord::Base.connection.execute(ActiveRecord::Base.sanitize_sql([statement, *values]))
end

ActiveRecord::Base.transaction do # commits at the end, rolls back on an exception
  Document.find(42).update!(status: "Export", total_amount: BigDecimal("12500.00"))
  execute "select webhook.publish('document.exported', document_data(?))", 42

  entry = {
    action: "document_status_changed",
    entity_type: "document",
    entity_id: 42,
    user: "zoé",
    details: 'Status changed from "Approved" to "Export"',
    ip_address: "192.168.1.10"
  }
  row = Audit.create!(entry).reload # reads what the database has set: logged_at
  entry.update(audit_id: row.audit_id, logged_at: row.logged_at.utc.strftime("%Y-%m-%dT%H:%M:%SZ"))
  execute "select webhook.publish('audit.log', ?::json)", entry.to_json
end
