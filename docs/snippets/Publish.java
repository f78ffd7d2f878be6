import java.math.BigDecimal;
import java.net.URI;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

class Publish {
    public static void main(String[] args) throws SQLException {
        var url = URI.create(System.getenv("DATABASE_URL"));
        var user = url.getUserInfo().split(":", 2);
        var jdbc = "jdbc:" + url.toString().replaceFirst("^postgres(ql)?:", "postgresql:").replaceFirst("//.*@", "//");
        try (var db = DriverManager.getConnection(jdbc, user[0], user[1])) {
            db.setAutoCommit(false); // otherwise each statement is a transaction of its own
            try {
                export(db, 42, new BigDecimal("12500.00"));
                db.commit();
            } catch (SQLException | RuntimeException e) {
                db.rollback();
                throw e;
            }
        }
    }

    static void export(Connection db, long id, BigDecimal total) throws SQLException {
        try (var update = db.prepareStatement("update documents set status = 'Export', total_amount = ? where id = ?")) {
            update.setBigDecimal(1, total);
            update.setLong(2, id);
            update.executeUpdate();
        }
        try (var publish = db.prepareStatement("select webhook.publish('document.exported', document_data(?))")) {
            publish.setLong(1, id);
            publish.execute();
        }
        var details = "Status changed from \"Approved\" to \"Export\"";
        var insert = """
            insert into audit (action, entity_type, entity_id, "user", details, ip_address)
            values ('document_status_changed', 'document', ?, ?, ?, ?) returning audit_id, utc(logged_at)""";
        try (var audit = db.prepareStatement(insert)) {
            audit.setLong(1, id);
            audit.setString(2, "zoé");
            audit.setString(3, details);
            audit.setString(4, "192.168.1.10");
            try (ResultSet row = audit.executeQuery()) {
                row.next();
                publishAudit(db, row.getLong(1), id, details, row.getString(2));
            }
        }
    }

    // Java has no JSON of its own: PostgreSQL makes it of the values. With Jackson or Gson bind the text to
    // webhook.publish('audit.log', ?) with setString, without a cast.
    static void publishAudit(Connection db, long auditId, long documentId, String details, String loggedAt) throws SQLException {
        var data = """
            json_build_object('audit_id', ?, 'action', 'document_status_changed', 'entity_type', 'document', 'entity_id', ?,
                              'user', ?::text, 'details', ?::text, 'ip_address', '192.168.1.10', 'logged_at', ?::text)""";
        try (PreparedStatement publish = db.prepareStatement("select webhook.publish('audit.log', " + data + ")")) {
            publish.setLong(1, auditId);
            publish.setLong(2, documentId);
            publish.setString(3, "zoé");
            publish.setString(4, details);
            publish.setString(5, loggedAt);
            publish.execute();
        }
    }
}
