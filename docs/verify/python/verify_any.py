import base64
import hashlib
import hmac
import os
import sys
import time


def is_ours(secret, body, headers):  # body: the bytes that came, whatever they are
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    ours = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    is_fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 300
    return is_fresh and any(hmac.compare_digest(ours, one) for one in headers["webhook-signature"].split(" "))


headers = {name: os.environ[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
body = sys.stdin.buffer.read()
if not is_ours(os.environ["WEBHOOK_SECRET"], body, headers):
    sys.exit("wrong signature")
print(len(body))
