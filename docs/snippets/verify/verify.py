"""Verifies a request with the standard library alone. The body is the bytes as they arrived."""
import base64
import hashlib
import hmac
import time


def verify(secret, headers, body):
    """Whether the request was signed with the secret (whsec_...) and is at most five minutes old."""
    at = headers.get("webhook-timestamp", "")
    if not at.isascii() or not at.isdigit() or abs(time.time() - int(at)) > 300:
        return False
    signed = f"{headers.get('webhook-id', '')}.{at}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = headers.get("webhook-signature", "").split(" ")  # several during a rotation
    return any([hmac.compare_digest(expected.encode(), each.encode()) for each in signatures])
