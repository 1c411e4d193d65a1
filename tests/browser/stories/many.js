// Ten thousand endpoints: the page asks for what it shows, shows a page of them, and says how long that took.
import assert from "node:assert/strict";

import { fresh, shot, signIn, story } from "../harness/browser.js";
import { api, service } from "../harness/service.js";

const MANY = 10_000;
const TIMES = 7;

// In the page: since when a view is complete, in milliseconds from the navigation; false while it is not.
const COMPLETE = {
  overview: () => document.querySelectorAll(".figure b").length > 6 && document.querySelectorAll(".plots canvas").length === 4 && performance.now(),
  endpoints: () => document.querySelectorAll("tbody tr").length === 50 && document.querySelectorAll("tbody .state").length === 50 && performance.now(),
};

story("with ten thousand endpoints the page asks for one page of them and finds one among all", {}, async (page, watch) => {
  const endpoints = [...Array(MANY).keys()].map((n) => ({
    uid: `many-${String(n).padStart(5, "0")}`, customer_id: "demo-initech", url: `https://hooks-${n % 100}.example.com/in/${n}`, mode: "stream",
  }));
  await api("PATCH", "customers/demo-initech", { quotas: { endpoints_max: MANY + 100 } });
  await api("POST", "endpoints/bulk", { endpoints });

  await signIn(page, service.key, "#/endpoints");
  await page.getByRole("row").nth(50).waitFor();
  watch.requests.length = 0;
  await page.reload();
  await page.getByRole("row").nth(50).waitFor();
  // Each once: a slow machine sees the page's next poll as well.
  const asked = [...new Set(watch.requests.filter((url) => url.includes("/v1/")))];
  assert.ok(asked.length <= 3, `the API is asked little: ${asked.join(" ")}`);
  assert.equal(await page.getByRole("row").count(), 51, "a page of fifty, and its head");
  assert.ok((await page.evaluate(() => document.querySelectorAll("*").length)) < 2_500, "few elements, however many endpoints");
  await shot(page, "ten thousand endpoints");

  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("Page 2").waitFor();
  // Listed in their order, and found by a part of a name.
  await page.getByLabel("Search").fill("many-07777");
  await page.getByRole("link", { name: "many-07777" }).waitFor();
  assert.equal(await page.getByRole("row").count(), 2);
});

// How long is printed, and judged by whoever reads it: a machine that does much else is slow.
for (const [view, complete] of Object.entries(COMPLETE)) {
  story(`with ten thousand endpoints the ${view} are timed, for who was never here and for who was`, {}, async () => {
    const never = [];
    let sent = null;
    for (let n = 0; n < TIMES; n += 1) {
      const { page, close } = await fresh();
      never.push(await timed(page, view, complete));
      sent = await page.evaluate(() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).map(({ name, transferSize }) => [name, transferSize]));
      await close();
    }
    const { page, close } = await fresh();
    const before = [];
    await timed(page, view, complete);
    for (let n = 0; n < TIMES; n += 1) before.push(await timed(page, view, complete));
    await close();
    const bytes = sent.reduce((sum, [, size]) => sum + size, 0);
    const calls = sent.filter(([name]) => name.includes("/v1/")).map(([name, size]) => `${new URL(name).pathname} ${kilobytes(size)}`);
    console.log(`  ${view}, complete after: first visit ${told(never)}, ${sent.length} requests, ${kilobytes(bytes)}; later visits ${told(before)}; ${calls.join(", ")}`);
    assert.ok(bytes < 200_000, `a first visit costs little: ${bytes} bytes`);
  });
}

async function timed(page, view, complete) {
  await page.goto("about:blank");
  await page.goto(`${service.base}/#/${view}`, { waitUntil: "commit" });
  return (await page.waitForFunction(complete, undefined, { polling: "raf" })).jsonValue();
}

const told = (times) => {
  const sorted = times.toSorted((a, b) => a - b);
  return `best ${Math.round(sorted[0])} ms, median ${Math.round(sorted[sorted.length >> 1])} ms of ${sorted.length}`;
};
const kilobytes = (size) => `${Math.round(size / 1000)} kB`;
