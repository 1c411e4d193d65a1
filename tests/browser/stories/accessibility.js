// What axe finds in every view, in light and in dark; and a screenshot of each.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

import { shot, signIn, story } from "../harness/browser.js";
import { service } from "../harness/service.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const VIEWS = {
  overview: "#/overview",
  endpoints: "#/endpoints?q=demo",
  "new endpoint": "#/endpoints?new=1",
  "endpoint health": "#/endpoints/demo-globex-picky",
  "endpoint attempts": "#/endpoints/demo-globex-picky/attempts",
  "endpoint backlog": "#/endpoints/demo-globex-picky/backlog",
  "endpoint dead letters": "#/endpoints/demo-globex-picky/dead-letters",
  "endpoint subscriptions": "#/endpoints/demo-globex-picky/subscriptions",
  "endpoint settings": "#/endpoints/demo-globex-picky/settings",
  "endpoint form": "#/endpoints/demo-globex-picky/settings?edit=1",
  subscriptions: "#/subscriptions",
  replays: "#/replays",
  actors: "#/actors",
  customers: "#/customers",
  unreadable: "#/unreadable",
};

for (const scheme of ["light", "dark"]) {
  story(`axe finds nothing in any view, in ${scheme}`, { scheme, expected: [[422, /^\/v1\/endpoints$/]] }, async (page) => {
    await page.goto(service.base);
    await check(page, `sign in ${scheme}`);
    await signIn(page);
    for (const [name, place] of Object.entries(VIEWS)) {
      await page.goto(`${service.base}/${place}`);
      await drawn(page);
      await shot(page, `${name} ${scheme}`);
      await check(page, `${name} ${scheme}`);
    }
    // What opens over a view.
    await page.goto(`${service.base}/${VIEWS["endpoint health"]}`);
    await page.getByRole("button", { name: "Pause" }).click();
    await check(page, `a dialog ${scheme}`);
    await page.keyboard.press("Escape");
    await page.goto(`${service.base}/#/endpoints?new=1`);
    await page.getByRole("button", { name: "Create the endpoint" }).click();
    await page.getByRole("alert").waitFor();
    await check(page, `a form with mistakes ${scheme}`);
    await page.getByLabel("Address").fill("https://hooks.example.com/");
    await page.getByRole("link", { name: "Replays", exact: true }).click();
    await page.getByRole("dialog", { name: "Leave without saving?" }).waitFor();
    await check(page, `leaving a form ${scheme}`);
    await page.getByRole("button", { name: "Leave" }).click();
    for (const [place, name] of [["subscriptions", "New subscription"], ["customers", "New customer"], ["customers", "New key"], ["replays", "New replay"]]) {
      await page.goto(`${service.base}/#/${place}`);
      await page.getByRole("button", { name }).click();
      await page.getByRole("dialog").waitFor();
      await shot(page, `${name} ${scheme}`);
      await check(page, `${name} ${scheme}`);
      await page.keyboard.press("Escape");
    }
  });
}

// The view that was asked for is there, with its data or with what it says instead.
async function drawn(page) {
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 50))));
  await page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector("[aria-busy]") === null);
}

async function check(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const found = violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help} (${node.target.join(" ")}) ${node.failureSummary?.split("\n")[1] ?? ""}`));
  assert.deepEqual(found, [], name);
}
