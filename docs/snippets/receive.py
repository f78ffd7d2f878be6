"""Stores each event once, answers at once; the work is done afterwards, from the table."""
import hmac
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

EXPECTED = "Bearer " + os.environ["WEBHOOK_TOKEN"]


class Receiver(BaseHTTPRequestHandler):
    timeout = 30

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if not hmac.compare_digest(self.headers.get("Authorization", "").encode(), EXPECTED.encode()):
            return self.answer(401)
        try:
            with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
                conn.execute(
                    "insert into received (webhook_id, body) values (%s, %s::json) on conflict do nothing",
                    (self.headers["webhook-id"], body),
                )
        except psycopg.Error as error:
            self.log_error("not stored: %s", error)
            return self.answer(503)  # a document comes again within ten seconds
        self.answer(204)  # only now: it is committed, or was there before

    def answer(self, status):
        self.send_response(status)
        self.end_headers()


ThreadingHTTPServer(("", int(os.environ.get("PORT", "8099"))), Receiver).serve_forever()
