<?php

$url = parse_url(getenv('DATABASE_URL'));
$db = new PDO(
    sprintf('pgsql:host=%s;port=%d;dbname=%s', $url['host'], $url['port'] ?? 5432, ltrim($url['path'], '/')),
    rawurldecode($url['user'] ?? ''),
    rawurldecode($url['pass'] ?? ''),
    [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION],
);

$db->beginTransaction();
try {
    $db->prepare("update documents set status = 'Export', total_amount = ? where id = ?")->execute(['12500.00', 42]);
    $db->prepare("select webhook.publish('document.exported', document_data(?))")->execute([42]);

    $entry = [
        'action' => 'document_status_changed',
        'entity_type' => 'document',
        'entity_id' => 42,
        'user' => 'zoé',
        'details' => 'Status changed from "Approved" to "Export"',
        'ip_address' => '192.168.1.10',
    ];
    $insert = $db->prepare(
        'insert into audit (action, entity_type, entity_id, "user", details, ip_address)
         values (?, ?, ?, ?, ?, ?) returning audit_id, utc(logged_at) as logged_at'
    );
    $insert->execute(array_values($entry));
    $entry += $insert->fetch(PDO::FETCH_ASSOC);
    $db->prepare("select webhook.publish('audit.log', cast(? as json))")->execute([json_encode($entry, JSON_THROW_ON_ERROR)]);
    $db->commit();
} catch (Throwable $error) {
    if ($db->inTransaction()) {
        $db->rollBack();
    }
    throw $error;
}
