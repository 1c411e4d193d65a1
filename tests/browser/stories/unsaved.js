// What somebody wrote in a form is not lost by a step in the wrong direction.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service, until } from "../harness/service.js";

const ENDPOINT = { customer_id: "demo-acme", url: "http://127.0.0.1:59999/hook", mode: "stream" };

story("a form with unsaved changes is left only after asking, by links, the way back, its own button, and the tab's", {}, async (page) => {
  await api("PUT", "endpoints/browser-unsaved", ENDPOINT);
  await api("POST", "endpoints/browser-unsaved/pause");
  await signIn(page, service.key, "#/endpoints/browser-unsaved");
  await page.getByRole("link", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Change the settings" }).click();
  const field = page.getByLabel("Description");
  const dialog = page.getByRole("dialog", { name: "Leave without saving?" });
  const stay = async () => {
    await dialog.getByRole("button", { name: "Stay" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal(await field.inputValue(), "not saved yet", "what was written is still there");
    assert.match(page.url(), /settings\?edit=1$/, "and so is the address");
  };
  await field.fill("not saved yet");
  await page.getByRole("link", { name: "Replays", exact: true }).click();
  await dialog.waitFor();
  await shot(page, "leaving without saving");
  await stay();
  await page.evaluate(() => history.back());
  await dialog.waitFor();
  await stay();
  await page.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.equal(await field.inputValue(), "not saved yet");
  const asked = page.waitForEvent("dialog");
  await page.evaluate(() => setTimeout(() => location.reload()));
  const before = await asked;
  assert.equal(before.type(), "beforeunload");
  await before.dismiss();
  assert.equal(await field.inputValue(), "not saved yet");

  // Whoever means it goes where they wanted to.
  await page.evaluate(() => history.back());
  await dialog.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("button", { name: "Change the settings" }).waitFor();
  assert.match(page.url(), /browser-unsaved\/settings$/);
  assert.notEqual((await api("GET", "endpoints/browser-unsaved")).description, "not saved yet");
  await page.evaluate(() => history.forward());
  await page.getByRole("heading", { name: "Change the settings" }).waitFor();
  await api("DELETE", "endpoints/browser-unsaved");
});

story("a form that is as it was, or was saved, is left without a word", {}, async (page) => {
  await api("PUT", "endpoints/browser-unsaved", ENDPOINT);
  await signIn(page, service.key, "#/endpoints/browser-unsaved/settings?edit=1");
  const field = page.getByLabel("Description");
  await field.fill("x");
  await field.fill("");
  await page.getByRole("link", { name: "Replays", exact: true }).click();
  await page.getByRole("heading", { name: "Replays" }).waitFor();
  await page.evaluate(() => history.back());
  await field.fill("saved");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("browser-unsaved is changed").waitFor();
  await page.getByRole("link", { name: "Replays", exact: true }).click();
  await page.getByRole("heading", { name: "Replays" }).waitFor();
  await until("it was saved", async () => (await api("GET", "endpoints/browser-unsaved")).description === "saved");

  // A form in a dialog: Escape asks as well, and does nothing else.
  await page.getByRole("button", { name: "New replay" }).click();
  const form = page.getByRole("dialog", { name: "New replay" });
  await form.getByLabel("Topic").fill("demo.orders");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog", { name: "Leave without saving?" }).getByRole("button", { name: "Stay" }).click();
  assert.equal(await form.getByLabel("Topic").inputValue(), "demo.orders");
  await form.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "Leave" }).click();
  await form.waitFor({ state: "detached" });
  await api("DELETE", "endpoints/browser-unsaved");
});
