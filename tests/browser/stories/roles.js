// What each role sees: what it may not do is not offered, and no view asks for what it may not have.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service } from "../harness/service.js";

const WRITES = /^(New|Change|Delete|Rotate|Revoke|Pause|Resume|Enable|Send|Acknowledge|More|Cancel|Purge)\b/;
const PLACES = ["overview", "endpoints", "subscriptions", "replays", "actors", "customers", "unreadable"];
const SECTIONS = ["", "/attempts", "/backlog", "/dead-letters", "/subscriptions", "/settings"];

async function visit(page, place) {
  await page.goto(`${service.base}/#/${place}`);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 50))));
  await page.waitForFunction(() => document.querySelector("main h1") !== null && document.querySelector("[aria-busy]") === null);
  const buttons = await page.locator("main button:visible, main summary:visible").evaluateAll((all) => all.map((one) => (one.ariaLabel ?? one.textContent).trim()));
  return buttons.filter((name) => WRITES.test(name));
}

story("an operator sees everything and is offered nothing that it may not do", {}, async (page) => {
  const { id, token } = await api("POST", "api-keys", { name: "Browser, operator", role: "operator" });
  await signIn(page, token);
  for (const place of [...PLACES, ...SECTIONS.map((section) => `endpoints/demo-globex-picky${section}`), "endpoints?new=1", "endpoints/demo-globex-picky/settings?edit=1"]) {
    assert.deepEqual(await visit(page, place), [], place);
    if (place === "customers" || place === "endpoints/demo-globex-picky") await shot(page, `an operator sees ${place}`);
  }
  await api("DELETE", `api-keys/${id}`);
});

story("a customer manages what is its own, and is offered nothing else", {}, async (page) => {
  const { id, token } = await api("POST", "api-keys", { name: "Browser, customer", role: "customer", customer_id: "demo-globex" });
  await signIn(page, token);
  const seen = {};
  for (const place of ["endpoints", "subscriptions", "replays", ...SECTIONS.map((section) => `endpoints/demo-globex-picky${section}`)]) seen[place] = await visit(page, place);
  assert.ok(seen.endpoints.includes("New endpoint") && seen["endpoints/demo-globex-picky/settings"].includes("Change the settings"));
  // Places that are not its own lead to what is.
  for (const place of ["overview", "actors", "customers", "unreadable"]) {
    await visit(page, place);
    assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "Endpoints", place);
  }
  await page.getByRole("button", { name: "New endpoint" }).click();
  assert.equal(await page.getByLabel("Customer", { exact: true }).count(), 0, "whose it is, is no question");
  await page.goto(`${service.base}/#/endpoints/demo-globex-picky`);
  await page.getByRole("heading", { name: "Its actors" }).waitFor();
  await shot(page, "a customer sees its endpoint");
  await api("DELETE", `api-keys/${id}`);
});
