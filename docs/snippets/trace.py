import os

import psycopg

# In a web application: request.headers.get("traceparent"). With OpenTelemetry:
#   carrier = {}; opentelemetry.propagate.inject(carrier); carrier.get("traceparent")
traceparent = os.environ.get("TRACEPARENT")  # None: no trace

with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
    conn.execute(
        "select webhook.publish('contact.created', contact_data(%s), traceparent => %s)",
        (7, traceparent),
    )
