// Who comes in, and what they see.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { service } from "../harness/service.js";

story("a wrong key is told so and stays outside", { expected: [[401, /^\/v1\//]] }, async (page) => {
  await page.goto(service.base);
  await page.getByLabel("API key").fill("not-a-key-of-anybody");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This key is not known").waitFor();
  assert.equal(await page.getByRole("navigation", { name: "Main" }).count(), 0);
});

story("a key opens the page, survives a reload, and is gone after signing out", {}, async (page) => {
  await page.goto(service.base);
  await shot(page, "sign in");
  await signIn(page);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  const kept = await page.evaluate(() => JSON.stringify([location.href, document.cookie, { ...localStorage }]));
  assert.ok(!kept.includes(service.key), "the key is in this tab's session only");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  await page.reload();
  await page.getByLabel("API key").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});
