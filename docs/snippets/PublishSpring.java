import java.math.BigDecimal;
import java.net.URI;
import org.postgresql.ds.PGSimpleDataSource;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.jdbc.datasource.DataSourceTransactionManager;
import org.springframework.transaction.support.TransactionTemplate;

class PublishSpring {
    public static void main(String[] args) {
        var url = URI.create(System.getenv("DATABASE_URL"));
        var user = url.getUserInfo().split(":", 2);
        var source = new PGSimpleDataSource(); // Spring Boot makes these four
        source.setURL("jdbc:" + url.toString().replaceFirst("^postgres(ql)?:", "postgresql:").replaceFirst("//.*@", "//"));
        source.setUser(user[0]);
        source.setPassword(user[1]);
        var db = new JdbcTemplate(source);
        var transaction = new TransactionTemplate(new DataSourceTransactionManager(source));

        transaction.execute(status -> { // or a method with @Transactional, called from another bean
            db.update("update documents set status = 'Export', total_amount = ? where id = ?", new BigDecimal("12500.00"), 42L);
            db.queryForObject("select webhook.publish('document.exported', document_data(?))", Long.class, 42L);

            var insert = """
                insert into audit (action, entity_type, entity_id, "user", details, ip_address)
                values ('document_status_changed', 'document', ?, ?, ?, '192.168.1.10') returning audit_id""";
            var auditId = db.queryForObject(insert, Long.class, 42L, "zoé", "Status changed from \"Approved\" to \"Export\"");
            var loggedAt = db.queryForObject("select utc(logged_at) from audit where audit_id = ?", String.class, auditId);
            var json = """
                {"audit_id": %d, "action": "document_status_changed", "entity_type": "document", "entity_id": 42, "user": "zoé",
                 "details": "Status changed from \\"Approved\\" to \\"Export\\"", "ip_address": "192.168.1.10", "logged_at": "%s"}
                """.formatted(auditId, loggedAt); // an application has Jackson: mapper.writeValueAsString(entry)
            return db.queryForObject("select webhook.publish('audit.log', ?)", Long.class, json); // a String needs no cast
        });
    }
}
