"""A receiver: stores each event once, answers at once, works afterwards. Python 3.9 and its standard
library, with verify.py beside it; to run behind a proxy that terminates TLS."""
import hmac
import json
import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from verify import verify

TOKEN = os.environ.get("WEBHOOK_TOKEN")  # as it is set in RecordEngine
SECRET = os.environ.get("WEBHOOK_SECRET")  # whsec_...
DATABASE = os.environ.get("DATABASE", "events.db")
LARGEST = 64 << 20  # bytes of a body
arrived = threading.Event()


def work(event):
    """Your part. It may take long. If it fails, it is called again a minute later, up to five times."""
    print("working on", event["event"], flush=True)


def database():
    db = sqlite3.connect(DATABASE, timeout=10)
    db.execute("pragma synchronous = full")  # what was answered with 204 survives a power cut
    return closing(db)


def store(webhook_id, body):
    """Keeps an event, unless it is there already. When this returns, it is on disk."""
    with database() as db, db:  # the second one commits
        db.execute("insert or ignore into received (webhook_id, body) values (?, ?)", (webhook_id, body))
    arrived.set()


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the connection is kept for the next request
    timeout = 60

    def do_POST(self):
        given = self.headers.get("Authorization", "")
        if TOKEN and not hmac.compare_digest(given.encode("latin-1"), b"Bearer " + TOKEN.encode()):
            return self.answer(401, "another bearer token, or none")
        try:
            body = self.body()
        except (OSError, ValueError) as error:  # half a request is no event, and gets no answer
            self.close_connection = True
            return self.log_error("not read: %s", error)
        if body is None:
            return self.answer(413, f"more than {LARGEST} bytes")
        if SECRET and not verify(SECRET, self.headers, body):
            return self.answer(401, "the signature does not verify")
        webhook_id = self.headers.get("webhook-id")
        if not webhook_id:
            return self.answer(400, "no webhook-id: does a proxy remove it?")
        try:
            if not isinstance(json.loads(body)["event"], str):
                raise ValueError("no event")
        except (ValueError, TypeError, KeyError, RecursionError):
            return self.answer(400, "not an event in JSON")
        try:
            store(webhook_id, body)
        except sqlite3.Error as error:
            self.log_error("not stored: %s", error)
            return self.answer(503, "not stored")  # a document comes again within ten seconds
        self.answer(204)  # only now: it is stored, or was before

    def body(self):
        """The bytes as they arrived; None if they are too many. A proxy may send them in chunks."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            size = int(self.headers.get("Content-Length", 0))
            return self.exactly(size) if size <= LARGEST else None
        chunks, total = [], 0
        while size := int(self.rfile.readline(100).split(b";")[0], 16):
            if (total := total + size) > LARGEST:
                return None
            chunks.append(self.exactly(size))
            self.rfile.readline(100)
        while self.rfile.readline(10_000).strip():  # trailers
            pass
        return b"".join(chunks)

    def exactly(self, size):
        if size < 0 or len(read := self.rfile.read(size)) < size:
            raise ConnectionError("the body ended too early")
        return read

    def answer(self, status, why=""):
        """The operator of RecordEngine is shown why."""
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(why)))
        if status in (401, 413):  # the body may be unread: the next request would begin in it
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(why.encode())


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # connections that arrive at the same time; Python's default is 5


def work_on_one():
    """Works on the oldest event that is due, and returns whether there was one."""
    with database() as db:
        row = db.execute("""select webhook_id, body from received where done_at is null and tries < 5
            and (tried_at is null or tried_at < datetime('now', '-1 minute')) order by tries, rowid""").fetchone()
    if row is None:
        return False
    error = None
    try:
        work(json.loads(row[1], parse_float=Decimal))  # 12500.00 stays 12500.00
    except Exception as failure:  # one event that fails does not stop the others
        error = repr(failure)
    with database() as db, db:
        db.execute("""update received set tries = tries + 1, tried_at = datetime('now'), error = ?1,
            done_at = case when ?1 is null then datetime('now') end where webhook_id = ?2""", (error, row[0]))
    return True


def work_on_what_is_stored():
    while True:
        arrived.clear()
        try:
            if not work_on_one():
                arrived.wait(60)
        except sqlite3.Error as error:
            print("the database:", error, flush=True)
            time.sleep(1)


if __name__ == "__main__":
    with database() as db, db:
        db.execute("pragma journal_mode = wal")
        db.execute("""create table if not exists received (
            webhook_id text primary key,  -- the header: the same on every attempt of one event
            received_at text not null default current_timestamp, body blob not null,
            done_at text, tries integer not null default 0, tried_at text, error text)""")
        db.execute("create index if not exists to_do on received (tries) where done_at is null")
    threading.Thread(target=work_on_what_is_stored, daemon=True).start()
    with suppress(KeyboardInterrupt):
        Server(("", int(os.environ.get("PORT", "8099"))), Receiver).serve_forever()
