<?php

require 'Illuminate/Database/autoload.php'; // a Laravel application has vendor/autoload.php, and the facade DB

use Illuminate\Database\Capsule\Manager as DB;

$database = new DB();
$database->addConnection(['driver' => 'pgsql', 'url' => preg_replace('/^postgres:/', 'pgsql:', getenv('DATABASE_URL')), 'charset' => 'utf8']);
$database->setAsGlobal();

DB::connection()->transaction(function () { // commits at the end, rolls back on an exception
    DB::table('documents')->where('id', 42)->update(['status' => 'Export', 'total_amount' => '12500.00']);
    DB::connection()->statement("select webhook.publish('document.exported', document_data(?))", [42]);

    $entry = [
        'action' => 'document_status_changed',
        'entity_type' => 'document',
        'entity_id' => 42,
        'user' => 'zoé',
        'details' => 'Status changed from "Approved" to "Export"',
        'ip_address' => '192.168.1.10',
    ];
    $entry['audit_id'] = DB::table('audit')->insertGetId($entry, 'audit_id');
    $entry['logged_at'] = DB::connection()->selectOne('select utc(logged_at) as it from audit where audit_id = ?', [$entry['audit_id']])->it;
    DB::connection()->statement("select webhook.publish('audit.log', cast(? as json))", [json_encode($entry, JSON_THROW_ON_ERROR)]);
});
