// Whose something is, is said by a name that people know.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service } from "../harness/service.js";

story("tables name customers, and a name leads to what the customer has", {}, async (page, watch) => {
  const { id } = await api("GET", "customers/demo-globex");
  await signIn(page, service.key, "#/endpoints?q=demo-globex");
  const row = page.getByRole("row").filter({ hasText: "demo-globex-picky" });
  const name = row.getByRole("link", { name: "globex", exact: true });
  await name.waitFor();
  assert.equal(await name.getAttribute("title"), id, "its id stands where one points");
  assert.ok(!(await page.getByRole("table").textContent()).includes(id), "and nowhere else");
  await shot(page, "endpoints with their customers");
  watch.requests.length = 0;
  await name.click();
  await page.getByRole("link", { name: "demo-globex-batch" }).waitFor();
  await page.locator(".chip").getByText("globex", { exact: true }).waitFor();
  const asked = watch.requests.filter((url) => url.includes("/v1/customers"));
  assert.ok(asked.length <= 1, `names cost no request for each row: ${asked.join(" ")}`);

  await page.goto(`${service.base}/#/endpoints/demo-globex-picky`);
  await page.locator(".summary").getByText("globex", { exact: true }).waitFor();
  await page.goto(`${service.base}/#/customers`);
  await page.getByRole("table", { name: "API keys" }).getByRole("link", { name: "globex", exact: true }).first().waitFor();
});

story("what cannot be read is said so by a word and a sign", {}, async (page) => {
  await page.route("**/v1/endpoints?*", async (route) => {
    const answer = await route.fetch();
    const list = await answer.json();
    const sealed = list.data[1];
    list.data[0] = { id: list.data[0].id, unreadable: true };
    list.data[1] = { ...sealed, health: { ...sealed.health, status: "unreadable" } };
    await route.fulfill({ response: answer, json: list });
  });
  await signIn(page, service.key, "#/endpoints?q=demo");
  await page.getByText("unreadable", { exact: true }).first().waitFor();
  const states = page.locator("td .state");
  assert.deepEqual((await states.allTextContents()).slice(0, 2).map((text) => text.trim()), ["unreadable", "unreadable"]);
  const [first, , third] = await states.locator("svg").evaluateAll((all) => all.map((one) => one.innerHTML));
  assert.notEqual(first, third, "and by a shape of its own");
  assert.match(await states.first().getAttribute("title"), /nothing is sent/);
  await shot(page, "endpoints that cannot be read");
});
