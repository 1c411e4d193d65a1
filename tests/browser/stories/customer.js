// A customer's own key, made on the page: it shows what is the customer's, and nothing of anybody else.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service } from "../harness/service.js";

story("a customer's key is made, and whoever signs in with it sees its own only", { expected: [[404, /demo-acme-stream/]] }, async (page) => {
  await signIn(page, service.key, "#/customers");
  await page.getByRole("button", { name: "New key" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Name").fill("Globex, from a browser");
  await form.getByLabel("Customer").fill("demo-globex");
  await form.getByRole("button", { name: "Create" }).click();
  await page.getByText("only time it is shown").waitFor();
  const token = (await page.locator(".secret code").textContent()).trim();
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();

  await signIn(page, token);
  await page.getByRole("link", { name: "demo-globex-stream" }).waitFor();
  const shown = await page.locator("td .name, th .name").allTextContents();
  assert.deepEqual(shown.sort(), ["demo-globex-batch", "demo-globex-picky", "demo-globex-stream"]);
  for (const place of ["Overview", "Actors", "Customers", "Unreadable"]) {
    assert.equal(await page.getByRole("link", { name: place, exact: true }).count(), 0, `${place} is not a customer's`);
  }
  await shot(page, "a customer sees its own");
  await page.getByRole("link", { name: "Subscriptions" }).click();
  await page.getByRole("table", { name: "Subscriptions" }).getByText("demo.shipments").first().waitFor();

  const foreign = (await api("GET", "endpoints/demo-acme-stream")).id;
  assert.ok(!(await page.content()).includes(foreign));
  await page.goto(`${service.base}/#/endpoints/demo-acme-stream`);
  await page.getByText("there is no such endpoint").first().waitFor();
});
