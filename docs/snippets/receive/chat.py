"""Work for receive.py: writes each event as a message to a chat, in the chat's own format."""
import json
import os
import urllib.request

CHAT = os.environ["CHAT"]  # slack, discord, teams or feishu
URL = os.environ["CHAT_URL"]  # of the chat's webhook: it contains a key


def text_of(event):
    document = event.get("document")
    if document is None:  # another event: its name and its fields
        fields = {name: value for name, value in event.items() if name not in ("schema_version", "event", "timestamp") and value is not None}
        return event["event"] + " " + ", ".join(f"{name}: {value}" for name, value in fields.items())
    parts = (document[name] for name in ("vendor_name", "invoice_number", "total_amount", "currency", "doc_url"))
    return " ".join(str(part) for part in parts if part is not None)


def card(text):
    block = {"type": "TextBlock", "text": text, "wrap": True}
    content = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4", "body": [block]}
    return {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": content}]}


# In each, a text that a customer typed cannot mention everyone in the chat.
MESSAGES = {
    "slack": lambda text: {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")},
    "discord": lambda text: {"content": text[:2000], "allowed_mentions": {"parse": []}},
    "teams": card,
    "feishu": lambda text: {"msg_type": "text", "content": {"text": text.replace("<", "‹")}},
}


def work(event):
    body = json.dumps(MESSAGES[CHAT](text_of(event))).encode()
    request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:  # raises on 4xx and 5xx: it is tried again
        answer = response.read()
    if CHAT == "feishu" and json.loads(answer).get("code") != 0:  # an error of Feishu is a 200
        raise RuntimeError(answer.decode())
