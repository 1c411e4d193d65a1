// Without a mouse: everything is reached by Tab, pressed by Enter, left by Escape, and one always sees where one is.
import assert from "node:assert/strict";

import { story } from "../harness/browser.js";
import { service, until } from "../harness/service.js";

story("an endpoint is found and paused, and a menu opened and left, by keyboard alone", {}, async (page) => {
  await page.goto(service.base);
  await page.getByLabel("API key").waitFor();
  await page.keyboard.type(service.key);
  await page.keyboard.press("Enter");
  await page.getByRole("navigation", { name: "Main" }).waitFor();

  await tabTo(page, "Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "Overview");
  await page.evaluate(() => document.body.focus());
  await tabTo(page, "Endpoints");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Endpoints" }).waitFor();
  assert.equal(await focused(page), "Endpoints", "the new view's heading has the focus, so that it is read out");
  await page.getByRole("link", { name: "demo-acme-stream" }).waitFor();
  await tabTo(page, "demo-acme-stream");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Pause" }).waitFor();

  await tabTo(page, "Pause");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  for (let n = 0; n < 5; n += 1) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null), "the focus stays in the dialog");
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await until("the focus is back where it came from", async () => (await focused(page)) === "Pause", 5_000);

  await tabTo(page, "More");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Rotate the secret" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Rotate the secret" }).waitFor({ state: "hidden" });
});

const focused = (page) => page.evaluate(() => document.activeElement.textContent.trim());

// Presses Tab until something of this name has the focus; whatever has it on the way must be seen to have it.
async function tabTo(page, name) {
  for (let n = 0; n < 80; n += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      const element = document.activeElement;
      return { name: (element.ariaLabel || element.textContent || "").trim(), body: element === document.body, seen: outlineStyle !== "none" && outlineWidth !== "0px" };
    });
    if (at.body) continue;
    assert.ok(at.seen, `one does not see that "${at.name}" has the focus`);
    if (at.name === name) return;
  }
  assert.fail(`Tab does not lead to "${name}"`);
}
