// Subscriptions, customers and keys: made, changed, and ended by their forms.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service, until } from "../harness/service.js";

story("a subscription is made for a topic, and changed to tenants and to departments", { expected: [[422, /^\/v1\/subscriptions$/]] }, async (page) => {
  await api("PUT", "endpoints/browser-subs", { customer_id: "demo-acme", url: "http://127.0.0.1:59999/hook", mode: "stream" });
  await api("POST", "endpoints/browser-subs/pause");
  const stored = async () => (await api("GET", "subscriptions?endpoint_id=browser-subs")).data;
  await signIn(page, service.key, "#/endpoints/browser-subs/subscriptions");
  await page.getByRole("button", { name: "New subscription" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Topic").focus();
  await until("the topics that are read are offered", () => form.locator("datalist option[value='demo.orders']").count());
  await form.getByLabel("Topic").fill("no topic");
  await form.getByRole("button", { name: "Subscribe" }).click();
  await form.getByText("must be a topic's name").waitFor();
  await form.getByLabel("Topic").fill("demo.orders");
  await form.getByRole("button", { name: "Subscribe" }).click();
  await page.getByRole("row").filter({ hasText: "the whole topic" }).waitFor();

  const change = page.getByRole("button", { name: "Change the subscription to demo.orders" });
  await change.click();
  await form.getByLabel("Scope", { exact: true }).selectOption("tenants");
  await form.getByLabel("Tenants").fill("2, 3\n5");
  await form.getByText("3 tenants").waitFor();
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row").filter({ hasText: "tenants 2, 3, 5" }).waitFor();
  assert.deepEqual((await stored())[0].scope, { level: "tenants", tenants: ["2", "3", "5"] });

  await change.click();
  assert.equal(await form.getByLabel("Tenants").inputValue(), "2, 3, 5");
  await form.getByLabel("Scope", { exact: true }).selectOption("departments");
  await form.getByLabel("Tenant 1", { exact: true }).fill("2");
  await form.getByLabel("Departments of tenant 1").fill("100, 200, 300");
  await form.getByRole("button", { name: "Another tenant" }).click();
  await form.getByLabel("Tenant 2", { exact: true }).fill("3");
  await form.getByLabel("Departments of tenant 2").fill("100");
  await shot(page, "departments of tenants");
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByRole("row").filter({ hasText: "2: 100, 200, 300" }).waitFor();
  assert.deepEqual((await stored())[0].scope, { level: "departments", departments: { 2: ["100", "200", "300"], 3: ["100"] } });

  // Names that fields cannot show are shown as JSON, and not torn apart.
  await api("PATCH", `subscriptions/${(await stored())[0].id}`, { scope: { level: "tenants", tenants: ["a, b", "c"] } });
  await page.getByRole("row").filter({ hasText: "tenants a, b, c" }).waitFor();
  await change.click();
  assert.deepEqual(JSON.parse(await form.getByLabel("Scope as JSON").inputValue()).tenants, ["a, b", "c"]);
  await page.keyboard.press("Escape");
  await api("DELETE", "endpoints/browser-subs");
});

story("a customer is made, changed and deleted, and a late change is refused", { expected: [[412, /^\/v1\/customers\//]] }, async (page) => {
  await signIn(page, service.key, "#/customers");
  await page.getByRole("button", { name: "New customer" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Name", { exact: true }).fill("Umbrella");
  await form.getByLabel("uid", { exact: true }).fill("browser-umbrella");
  await form.getByRole("button", { name: "Create" }).click();
  await form.getByText("must have a name; or choose all, or none").first().waitFor();
  await form.getByLabel("Their names").first().fill("demo.orders");
  await form.getByLabel("Which tenants").selectOption("all");
  await shot(page, "a new customer");
  await form.getByRole("button", { name: "Create" }).click();
  await page.getByText("Umbrella is a customer").waitFor();
  const stored = () => api("GET", "customers/browser-umbrella");
  assert.deepEqual((await stored()).grants, { topics: ["demo.orders"], tenants: ["*"] });

  await page.getByRole("button", { name: "Change Umbrella" }).click();
  await form.getByLabel("Which tenants").selectOption("some");
  await form.getByLabel("Their names").last().fill("2\n7");
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByText("Umbrella is changed").waitFor();
  assert.deepEqual((await stored()).grants, { topics: ["demo.orders"], tenants: ["2", "7"] });

  await page.getByRole("row").filter({ hasText: "Umbrella" }).getByText("2, 7").waitFor();
  await page.getByRole("button", { name: "Change Umbrella" }).click();
  await api("PATCH", "customers/browser-umbrella", { name: "Umbrella Ltd" });
  await form.getByRole("button", { name: "Save" }).click();
  await form.getByText("someone else changed the customer meanwhile").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Delete Umbrella Ltd" }).click();
  await form.getByRole("textbox").fill("browser-umbrella");
  await form.getByRole("button", { name: "Delete" }).click();
  await page.getByText("Umbrella Ltd is deleted").waitFor();
});

story("a key is made with an end, rotated so that both tokens hold, and revoked", {}, async (page) => {
  await signIn(page, service.key, "#/customers");
  await page.getByRole("button", { name: "New key" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Name").fill("Browser, to be rotated");
  await form.getByLabel("Role").selectOption("operator");
  await form.getByLabel("It ends").selectOption("90");
  await form.getByRole("button", { name: "Create" }).click();
  const first = await token(page);
  const row = page.getByRole("row").filter({ hasText: "Browser, to be rotated" });
  await row.waitFor();
  const current = (key) => api("GET", "api-keys/current", undefined, key);
  const { expires_at: end, role, id } = await current(first);
  assert.equal(role, "operator");
  assert.equal(Math.round((new Date(end) - Date.now()) / 86_400_000), 90);

  await page.getByRole("button", { name: "Rotate Browser, to be rotated" }).click();
  await form.getByLabel("The previous token ends").selectOption("3600000");
  await form.getByRole("button", { name: "Rotate" }).click();
  const second = await token(page);
  assert.notEqual(first, second);
  assert.deepEqual([(await current(first)).id, (await current(second)).id], [id, id], "both tokens hold for a while");
  await row.getByText("its previous token").waitFor();
  await shot(page, "API keys");

  await page.getByRole("button", { name: "Change Browser, to be rotated" }).click();
  await form.getByLabel("Name").fill("Browser, to be revoked");
  await form.getByLabel("It ends").selectOption("");
  await form.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Revoke Browser, to be revoked" }).click();
  assert.equal((await current(second)).expires_at, null);
  await form.getByRole("button", { name: "Revoke" }).click();
  await page.getByText("The key Browser, to be revoked is revoked").waitFor();
  await until("both tokens are refused", async () => (await Promise.allSettled([current(first), current(second)])).every(({ status }) => status === "rejected"));
});

async function token(page) {
  await page.getByText("only time it is shown").waitFor();
  const text = (await page.locator(".secret code").textContent()).trim();
  await page.getByRole("button", { name: "I have it" }).click();
  return text;
}
