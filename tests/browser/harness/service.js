// A real Postrider with the demo's customers, receivers and events; started once, for all stories.
import { spawn } from "node:child_process";
import { createServer } from "node:net";

export const service = { base: null, key: null };
let demo = null;
let log = "";

export async function open() {
  service.key = process.env.POSTRIDER_ADMIN_KEY;
  const port = await freePort();
  service.base = `http://127.0.0.1:${port}`;
  demo = spawn(process.env.POSTRIDER, ["demo", "--rate", "60"], {
    env: { ...process.env, POSTRIDER_ADMIN_BIND: `127.0.0.1:${port}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  for (const stream of [demo.stdout, demo.stderr]) stream.on("data", (text) => (log = (log + text).slice(-20_000)));
  await until("the demo delivers", () => {
    if (demo.exitCode !== null) throw new Error(`the demo ended:\n${log}`);
    return log.includes("Postrider is delivering");
  }, 120_000);
}

// The demo keeps books of what must arrive: whatever the stories did, its own verdict must be that everything did.
export async function close() {
  if (demo === null) return;
  const ended = new Promise((resolve) => demo.on("exit", resolve));
  if (demo.exitCode === null) demo.kill("SIGTERM");
  const code = demo.exitCode ?? (await ended);
  if (code !== 0) throw new Error(`the demo ended with ${code}:\n${log}`);
}

// A call of the API, as another program would make it.
export async function api(method, path, body, key = service.key) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const answer = await fetch(`${service.base}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} was answered ${answer.status}: ${text}`);
  return text === "" ? null : JSON.parse(text);
}

// Waits for what must become true; how long it may take is only there to end a test that fails.
export async function until(what, look, atMostMs = 60_000) {
  const end = Date.now() + atMostMs;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`it did not come to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
