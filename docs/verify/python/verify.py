import json
import os
import sys

from standardwebhooks.webhooks import Webhook

# In a web framework: the request's own headers, and its body as it came, before anything parsed it.
headers = {name: os.environ[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
body = sys.stdin.buffer.read()

Webhook(os.environ["WEBHOOK_SECRET"]).verify(body, headers)  # raises WebhookVerificationError
print(json.loads(body)["type"])
