import json
import os
from datetime import timezone
from decimal import Decimal
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings

url = urlsplit(os.environ["DATABASE_URL"])
settings.configure(  # a project has this in settings.py
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path[1:],
            "USER": unquote(url.username or ""),
            "PASSWORD": unquote(url.password or ""),
            "HOST": url.hostname,
            "PORT": url.port or 5432,
        }
    },
)
django.setup()

from django.db import connection, models, transaction  # noqa: E402
from django.db.models.functions import Now  # noqa: E402


class Document(models.Model):
    status = models.TextField()
    total_amount = models.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        app_label, db_table, managed = "app", "documents", False


class Audit(models.Model):
    audit_id = models.BigAutoField(primary_key=True)
    action = models.TextField()
    entity_type = models.TextField()
    entity_id = models.BigIntegerField()
    user = models.TextField()
    details = models.TextField()
    ip_address = models.TextField()
    logged_at = models.DateTimeField()

    class Meta:
        app_label, db_table, managed = "app", "audit", False


with transaction.atomic():  # commits at the end, rolls back on an exception
    document = Document.objects.get(pk=42)
    document.status = "Export"
    document.total_amount = Decimal("12500.00")
    document.save(update_fields=["status", "total_amount"])
    with connection.cursor() as cursor:
        cursor.execute("select webhook.publish('document.exported', document_data(%s))", [document.pk])

    entry = {
        "action": "document_status_changed",
        "entity_type": "document",
        "entity_id": 42,
        "user": "zoé",
        "details": 'Status changed from "Approved" to "Export"',
        "ip_address": "192.168.1.10",
    }
    row = Audit.objects.create(**entry, logged_at=Now())
    row.refresh_from_db(fields=["logged_at"])
    entry["audit_id"] = row.pk
    entry["logged_at"] = row.logged_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    with connection.cursor() as cursor:
        cursor.execute("select webhook.publish('audit.log', %s::json, %s)", [json.dumps(entry), row.logged_at])
