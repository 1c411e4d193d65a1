// What the first view needs is on its way before the page's own modules are set up, and nothing is asked twice.
import assert from "node:assert/strict";

import { fresh, story } from "../harness/browser.js";
import { service, until } from "../harness/service.js";

const VIEWS = {
  overview: ["overview"],
  "endpoints?q=demo&state=enabled&sort=-updated": ["endpoints?q=demo&state=enabled&sort=-updated&include=health%2Ccustomer&limit=50"],
  "endpoints/demo-acme-stream": ["endpoints/demo-acme-stream", "endpoints/demo-acme-stream/stats"],
};

story("what the first view needs is asked for before the page's modules have come, and once", {}, async () => {
  for (const [view, first] of Object.entries(VIEWS)) {
    const { page, close } = await fresh();
    // The page's own module comes late; what can be asked for before does not wait for it.
    let release;
    const held = new Promise((resolve) => (release = resolve));
    await page.route("**/app.js", async (route) => { await held; await route.continue(); });
    const asked = [];
    page.on("request", (request) => asked.push(below(request.url())));
    await page.goto(`${service.base}/#/${view}`, { waitUntil: "commit" });
    const early = ["v1/api-keys/current", ...first.map((path) => `v1/${path}`), `views/${view.includes("/") ? "endpoint" : view.split("?")[0]}.js`];
    for (const path of early) await until(`${path} is asked for`, () => asked.some((one) => one.endsWith(path)));
    release();
    await page.getByRole("heading", { level: 1 }).waitFor();
    await page.waitForFunction(() => document.querySelector("[aria-busy]") === null);
    for (const path of early) assert.equal(asked.filter((one) => one.endsWith(path)).length, 1, `${path} is asked for once: ${asked.join(" ")}`);
    const sheets = asked.filter((path) => path.endsWith(".css"));
    assert.equal(sheets.length, 1, `one style sheet: ${sheets.join(" ")}`);
    await close();
  }
});

story("long answers of the API come compressed", {}, async (page) => {
  await page.goto(service.base);
  const { size, encoding } = await page.evaluate(async (key) => {
    const answer = await fetch("v1/endpoints?include=health", { headers: { authorization: `Bearer ${key}` } });
    await answer.text();
    const { encodedBodySize, decodedBodySize } = performance.getEntriesByName(answer.url).at(-1);
    return { size: encodedBodySize / decodedBodySize, encoding: answer.headers.get("content-encoding") };
  }, service.key);
  assert.ok(encoding === "gzip" && size < 0.3, `${encoding}, ${Math.round(size * 100)} %`);
});

const below = (address) => new URL(address).pathname.slice(1) + new URL(address).search;
