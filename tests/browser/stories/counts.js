// How many events an endpoint took, as far back as is wanted.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service, until } from "../harness/service.js";

story("what an endpoint took is plotted by the minute and by the hour, and told to those who do not see it", {}, async (page) => {
  const path = "endpoints/demo-acme-stream/stats";
  // They are written down once a minute, and shown once they are whole.
  await until("two minutes are written down", async () => {
    const { counts } = await api("GET", `${path}?per=minute`);
    return counts.data.filter(({ at, delivered }) => delivered > 0 && Date.parse(at) < Date.now() - 120_000).length > 0;
  }, 240_000);
  await signIn(page, service.key, "#/endpoints/demo-acme-stream");
  const before = (await api("GET", path)).counts.delivered;
  const plot = page.getByRole("img", { name: /^Delivered and failed/ });
  const told = async () => (await plot.count()) > 0 && plot.getAttribute("aria-label");
  const first = await until("the plot tells what it shows", told);
  const [, range, sum, most] = /by the minute, (.+?)\. delivered: ([\d,]+) in all, at most ([\d.,K]+)/.exec(first) ?? assert.fail(first);
  assert.equal(range, "the last hour");
  assert.ok(Number(sum.replaceAll(",", "")) > 0 && most !== "0", first);
  const { counts } = await api("GET", path);
  const seen = Number(sum.replaceAll(",", ""));
  // The page shows whole minutes only.
  assert.ok(seen <= counts.delivered && seen > before / 2, `${seen} of ${before} to ${counts.delivered}`);

  const asked = page.waitForRequest((request) => request.url().includes("per=hour"));
  await page.getByLabel("How far back").focus();
  await page.getByLabel("How far back").selectOption("the last 7 days");
  const since = Date.parse(new URL((await asked).url()).searchParams.get("since"));
  assert.ok(Math.abs(Date.now() - since - 7 * 86_400_000) < 60_000, "seven days back");
  await until("the plot tells of a week", async () => /by the hour, the last 7 days/.test(await told()));
  assert.equal(await page.evaluate(() => document.activeElement.ariaLabel), "How far back", "the choice keeps the focus");
  await page.getByLabel("How far back").selectOption("the last hour");
  await until("the plot tells of an hour again", async () => /by the minute, the last hour/.test(await told()));
  await shot(page, "what an endpoint took");
});
