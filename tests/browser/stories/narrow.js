// A window of 400 pixels: every view fits, and only tables scroll sideways.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { service } from "../harness/service.js";

const VIEWS = {
  overview: "#/overview", endpoints: "#/endpoints?q=demo", "new endpoint": "#/endpoints?new=1", endpoint: "#/endpoints/demo-globex-picky",
  letters: "#/endpoints/demo-globex-picky/dead-letters", settings: "#/endpoints/demo-globex-picky/settings", edit: "#/endpoints/demo-globex-picky/settings?edit=1",
  attempts: "#/endpoints/demo-globex-picky/attempts", subscriptions: "#/subscriptions", replays: "#/replays", actors: "#/actors", customers: "#/customers",
};

story("every view fits into a narrow window, and no column is a letter wide", {}, async (page) => {
  await page.setViewportSize({ width: 400, height: 800 });
  await signIn(page);
  const wide = [];
  for (const [name, place] of Object.entries(VIEWS)) {
    await page.goto(`${service.base}/${place}`);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 50))));
    await page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector("[aria-busy]") === null);
    await shot(page, `narrow ${name}`);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    const tall = await page.evaluate(() => [...document.querySelectorAll("td code, td small, td a")].filter((one) => one.getClientRects().length > 3).map((one) => one.textContent));
    if (tall.length > 0) wide.push(`${name} tears apart ${tall[0]}`);
    if (width > 400) wide.push(`${name} is ${width} pixels wide`);
  }
  assert.deepEqual(wide, []);
});
