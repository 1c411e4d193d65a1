import { Webhook } from "standardwebhooks";

// In a web framework: the request's own headers, and its body as it came (express.raw, not express.json).
const names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
const headers = Object.fromEntries(names.map((name) => [name, process.env[name]]));
const parts = [];
for await (const part of process.stdin) parts.push(part);
const body = Buffer.concat(parts);

const event = new Webhook(process.env.WEBHOOK_SECRET).verify(body, headers); // throws WebhookVerificationError
console.log(event.type);
