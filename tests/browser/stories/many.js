// Ten thousand endpoints: the page asks for what it shows, and shows a page of them.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, stage } from "../harness/stage.js";

const MANY = 10_000;

story("with ten thousand endpoints the page asks for one page of them and finds one among all", {}, async (page, watch) => {
  const endpoints = [...Array(MANY).keys()].map((n) => ({
    uid: `many-${String(n).padStart(5, "0")}`, customer_id: "demo-initech", url: `https://hooks-${n % 100}.example.com/in/${n}`, mode: "stream",
  }));
  await api("POST", "endpoints/bulk", { endpoints });

  await signIn(page, stage.key, "#/endpoints");
  await page.getByRole("row").nth(50).waitFor();
  // Once more, as somebody who was here before: what the browser keeps, it does not ask for.
  watch.requests.length = 0;
  const began = Date.now();
  await page.reload();
  await page.getByRole("row").nth(50).waitFor();
  console.log(`  from a reload to the list of ${MANY} endpoints: ${Date.now() - began} ms`);
  const asked = watch.requests.filter((url) => url.includes("/v1/"));
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
