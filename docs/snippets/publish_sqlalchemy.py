import json
import os
from datetime import timezone
from decimal import Decimal

from sqlalchemy import BigInteger, Column, DateTime, FetchedValue, Numeric, Text, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, declarative_base

Base = declarative_base()


class Document(Base):
    __tablename__ = "documents"
    id = Column(BigInteger, primary_key=True)
    status = Column(Text)
    total_amount = Column(Numeric(14, 2))


class Audit(Base):
    __tablename__ = "audit"
    audit_id = Column(BigInteger, primary_key=True)
    action, entity_type, user, details, ip_address = (Column(Text) for _ in range(5))
    entity_id = Column(BigInteger)
    logged_at = Column(DateTime(timezone=True), server_default=FetchedValue())


engine = create_engine(make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql"))
with Session(engine) as session, session.begin():  # commits at the end, rolls back on an exception
    document = session.get(Document, 42)
    document.status = "Export"
    document.total_amount = Decimal("12500.00")
    session.flush()  # the event reads the row: without this it would still be the old one
    session.execute(text("select webhook.publish('document.exported', document_data(:id))"), {"id": 42})

    entry = {
        "action": "document_status_changed",
        "entity_type": "document",
        "entity_id": 42,
        "user": "zoé",
        "details": 'Status changed from "Approved" to "Export"',
        "ip_address": "192.168.1.10",
    }
    row = Audit(**entry)
    session.add(row)
    session.flush()  # gives it its audit_id
    entry["audit_id"] = row.audit_id
    entry["logged_at"] = row.logged_at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    session.execute(text("select webhook.publish('audit.log', cast(:data as json))"), {"data": json.dumps(entry)})
