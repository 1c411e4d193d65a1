// The story of issue and remedy: an endpoint is found, paused, seen to fall behind, resumed, seen to catch up.
import assert from "node:assert/strict";

import { figure, shot, signIn, story } from "../harness/browser.js";
import { receive } from "../harness/receiver.js";
import { api, until } from "../harness/service.js";

story("an endpoint is found, paused, falls behind, is resumed, and catches up", {}, async (page) => {
  const receiver = await receive();
  await api("PUT", "endpoints/browser-orders", { customer_id: "demo-acme", url: receiver.url, mode: "stream" });
  await api("PUT", "subscriptions/browser-orders", { endpoint_id: "browser-orders", topic: "demo.orders", scope: { level: "topic" } });
  await until("events arrive", () => receiver.got.length > 5);

  await signIn(page);
  await page.getByRole("link", { name: "Endpoints" }).click();
  await page.getByLabel("Search").fill("browser-ord");
  await page.getByRole("link", { name: "browser-orders" }).click();
  await page.getByRole("heading", { name: "browser-orders" }).waitFor();

  await page.getByRole("button", { name: "Pause" }).click();
  await shot(page, "asking before a pause");
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.getByText("browser-orders is paused").waitFor();
  await page.getByRole("link", { name: "Backlog" }).click();
  const first = await until("something waits", () => figure(page, "Waiting").catch(() => 0));
  const more = await until("more waits", async () => {
    const now = await figure(page, "Waiting");
    return now > first && now;
  });
  await shot(page, "a backlog that grows");

  const before = receiver.got.length;
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("Nothing waits").waitFor();
  await until("what waited arrives", () => receiver.got.length >= before + more);
  await page.getByRole("button", { name: "Pause" }).waitFor();
  await until("nothing waits", async () => (await api("GET", "endpoints/browser-orders/backlog")).events === 0);
  await api("DELETE", "endpoints/browser-orders");
  await receiver.close();
});
