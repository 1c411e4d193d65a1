// However long a name is, what stands beside it stays where it is seen, and the name can be read.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service } from "../harness/service.js";

const NAME = "W".repeat(200);
const UID = `u${"x".repeat(120)}`;

// Columns of a table whose right edge is not in the window, and cells that hide text nobody can get at.
const unseen = (page) => page.evaluate(() => {
  const wrong = [];
  for (const cell of document.querySelectorAll("main th, main td")) {
    if (cell.getBoundingClientRect().right > innerWidth) wrong.push(`${cell.textContent.slice(0, 30)} is out of the window`);
  }
  for (const one of document.querySelectorAll("main *, header *")) {
    const cut = one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).textOverflow === "ellipsis";
    if (cut && !one.closest("[title]")?.title.includes(one.textContent.trim())) wrong.push(`${one.textContent.slice(0, 30)} is cut, and no title has it`);
  }
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("the page scrolls sideways");
  return wrong;
});

story("long names of customers and endpoints keep nothing from being seen", {}, async (page) => {
  await page.setViewportSize({ width: 1280, height: 800 });
  const customer = await api("PUT", `customers/${UID}`, { name: NAME, grants: { topics: ["*"], tenants: ["*"] } });
  try {
    await api("PUT", `endpoints/${UID}`, { customer_id: customer.id, url: `https://long.example/${"p".repeat(300)}` });
    await signIn(page, service.key, `#/endpoints?q=${UID}`);
    await page.getByRole("link", { name: UID }).waitFor();
    await shot(page, "long names among endpoints");
    assert.deepEqual(await unseen(page), []);
    const row = page.getByRole("row").filter({ hasText: UID });
    assert.ok((await row.textContent()).includes(NAME), "the whole name is there");
    for (const place of [`endpoints/${UID}`, `endpoints/${UID}/settings`, `endpoints?customer=${UID}`, "customers"]) {
      await page.goto(`${service.base}/#/${place}`);
      await page.getByText(NAME).or(page.getByTitle(NAME)).first().waitFor();
      await page.waitForFunction(() => document.querySelector("[aria-busy]") === null);
      await shot(page, `long names at ${place.replace(UID, "it").replaceAll("/", " ")}`);
      assert.deepEqual(await unseen(page), [], place);
    }
  } finally {
    await api("DELETE", `customers/${customer.id}`);
  }
});

story("no code, status or name breaks on the page of the API", {}, async (page) => {
  for (const width of [1280, 820]) {
    await page.setViewportSize({ width, height: 800 });
    await page.goto(`${service.base}/reference`);
    const broken = await page.evaluate(() => {
      const lines = (one) => new Set([...one.getClientRects()].map((rect) => Math.round(rect.top))).size;
      const heads = [...document.querySelectorAll("main th")].map((head) => {
        const range = document.createRange();
        range.selectNodeContents(head);
        return [head.textContent, lines(range)];
      });
      return heads.filter(([, count]) => count > 1).map(([text]) => text);
    });
    assert.deepEqual(broken, [], `${width} pixels`);
    assert.ok((await page.locator("main th").count()) > 100);
  }
  await shot(page, "the page of the API");
});
