// A dead letter is read, sent again, and gone once it is delivered; another is acknowledged.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { receive } from "../harness/receiver.js";
import { api, service, until } from "../harness/service.js";

story("a dead letter is read, sent again under its id, and delivered", {}, async (page) => {
  // The first event is refused for good; by the time it comes again, the receiver knows better.
  const receiver = await receive((_, number) => (number === 0 ? 422 : 200));
  await api("PUT", "endpoints/browser-letters", { customer_id: "demo-acme", url: receiver.url, mode: "stream" });
  await api("PUT", "subscriptions/browser-letters", { endpoint_id: "browser-letters", topic: "demo.orders", scope: { level: "topic" } });
  const letters = async () => (await api("GET", "endpoints/browser-letters/dead-letters")).data;
  await until("an event is given up", async () => (await letters()).length === 1);
  const refused = receiver.got[0];

  await signIn(page);
  await page.goto(`${page.url().split("#")[0]}#/endpoints/browser-letters/dead-letters`);
  const row = page.getByRole("row").filter({ hasText: "rejected" });
  await row.getByRole("button").click();
  await page.getByRole("dialog").getByText("this order is <b>not known</b>").waitFor();
  await shot(page, "a dead letter");
  await page.keyboard.press("Escape");

  await row.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Send again (1)" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  await page.getByText("1 on their way again").waitFor();
  await page.getByText("No dead letters").waitFor();
  const again = await until("it comes again", () => receiver.taken().find(({ id }) => id === refused.id));
  assert.equal(again.body, refused.body, "what was refused is what is sent again");
  assert.deepEqual(await letters(), []);
  await api("DELETE", "endpoints/browser-letters");
  await receiver.close();
});

story("a redrive is followed to its end, from wherever one comes back, and says what was given up again", {}, async (page) => {
  // All are refused at first. When they come again one of them still is, and none is answered before the test says so.
  let [held, release] = [null, null];
  const receiver = await receive(({ id }) => (held === null || id === receiver.got[0].id ? 422 : 200), () => held);
  const patient = { request_timeout_ms: 60_000, breaker: { consecutive_failures: 1000, requests_min: 10_000 } };
  await api("PUT", "endpoints/browser-redrive", { customer_id: "demo-acme", url: receiver.url, mode: "stream", in_flight_max: 1, ...patient });
  await api("PUT", "subscriptions/browser-redrive", { endpoint_id: "browser-redrive", topic: "demo.orders", scope: { level: "tenants", tenants: ["4"] } });
  const letters = async () => (await api("GET", "endpoints/browser-redrive/dead-letters?limit=250")).data;
  await until("some are given up", async () => (await letters()).length >= 3);
  held = new Promise((resolve) => (release = resolve));
  let before = 0;
  await until("no more come", async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const now = (await letters()).length;
    const same = now === before;
    before = now;
    return same;
  });
  await signIn(page, service.key, "#/endpoints/browser-redrive/dead-letters");
  await page.getByRole("button", { name: "Send all again" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send again" }).click();
  const many = Number(/(\d+) on their way/.exec(await page.getByText(/on their way again/).first().textContent())[1]);
  await page.getByText(new RegExp(`of ${many} delivered, \\d+ on their way or waiting`)).waitFor();
  await shot(page, "a redrive under way");
  await page.getByRole("link", { name: "Attempts", exact: true }).click();
  await page.getByRole("link", { name: /Dead letters/ }).click();
  await page.getByText(new RegExp(`of ${many} delivered, \\d+ on their way or waiting`)).waitFor();
  release();
  await page.getByText(`${many} sent again: ${many - 1} delivered, 1 given up again`).waitFor();
  assert.equal((await letters()).length, 1);
  await page.getByRole("row").filter({ hasText: "rejected" }).waitFor();
  await shot(page, "a redrive at its end");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText("sent again:").waitFor({ state: "detached" });
  await api("DELETE", "endpoints/browser-redrive");
  await receiver.close();
});

story("a dead letter is acknowledged, and its data can be taken along before", {}, async (page) => {
  const picky = "endpoints/demo-globex-picky/dead-letters";
  await until("the picky receiver has refused some", async () => (await api("GET", picky)).data.length > 1);
  await signIn(page);
  await page.goto(`${page.url().split("#")[0]}#/endpoints/demo-globex-picky/dead-letters`);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Pull as a file" }).click();
  const chunks = [];
  for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
  const lines = Buffer.concat(chunks).toString().trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(lines.length > 1 && lines.every(({ data }) => data.demo), "whole letters, with their data");

  await shot(page, "dead letters");
  const row = page.getByRole("row").nth(1);
  await row.getByRole("checkbox").check();
  await page.getByRole("button", { name: "Acknowledge (1)" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
  await page.getByText("1 acknowledged").waitFor();
});

story("dead letters that are alike are sent again, and acknowledged, by what they have in common", {}, async (page) => {
  let refuse = 2;
  const receiver = await receive(() => (refuse > 0 && refuse-- > 0 ? 422 : 200));
  await api("PUT", "endpoints/browser-alike", { customer_id: "demo-acme", url: receiver.url, mode: "stream" });
  await api("PUT", "subscriptions/browser-alike", { endpoint_id: "browser-alike", topic: "demo.orders", scope: { level: "topic" } });
  const letters = async (query = "") => (await api("GET", `endpoints/browser-alike/dead-letters${query}`)).data;
  const [{ tenant }] = await until("events are given up", async () => { const all = await letters(); return all.length === 2 && all; });
  await signIn(page, service.key, "#/endpoints/browser-alike/dead-letters");
  const dialog = page.getByRole("dialog");
  await page.getByLabel("Reason").selectOption("rejected");
  await page.getByLabel("Tenant").fill(tenant);
  // At once: what was just written in a filter is what is meant.
  await page.getByRole("button", { name: "Send all like these again" }).click();
  await dialog.getByText(`reason rejected, tenant ${tenant}`).waitFor();
  await dialog.getByRole("button", { name: "Send again" }).click();
  await page.getByText(/[12] on their way again/).waitFor();
  await until("they are delivered", async () => (await letters(`?tenant=${tenant}`)).length === 0);

  const left = (await letters()).length;
  refuse = 1;
  await until("another is given up", async () => (await letters()).length > left);
  await page.getByLabel("Tenant").fill("");
  await page.getByRole("button", { name: "Acknowledge all like these" }).click();
  const button = dialog.getByRole("button", { name: "Acknowledge" });
  assert.ok(await button.isDisabled(), "what removes many at once is confirmed by a word");
  await dialog.getByRole("textbox").fill("all");
  await button.click();
  await page.getByText(/[12] acknowledged/).waitFor();
  assert.deepEqual(await letters(), []);
  await api("DELETE", "endpoints/browser-alike");
  await receiver.close();
});

story("numbers in a dead letter are shown and taken along as they were written", {}, async (page) => {
  await page.goto(service.base);
  const written = '{"id":12345678901234567890,"price":1.00,"small":1e-400,"text":"1.00","list":[1,2.50]}';
  const shown = await page.evaluate(async (text) => {
    const { parseExact } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/exact.js"));
    return JSON.stringify(parseExact(text));
  }, written);
  assert.equal(shown, written);
});
