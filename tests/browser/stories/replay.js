// A range of Kafka, again for one endpoint, from its page.
import { shot, signIn, story } from "../harness/browser.js";
import { service } from "../harness/service.js";

story("a replay is asked for from an endpoint's page, and seen to be done", {}, async (page) => {
  await signIn(page, service.key, "#/endpoints/demo-acme-stream");
  await page.getByText("More", { exact: true }).click();
  await page.getByRole("button", { name: "Replays" }).click();
  await page.getByRole("link", { name: "Show the replays of all" }).waitFor();
  await page.getByRole("button", { name: "New replay" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Topic").fill("demo.orders");
  await form.getByRole("button", { name: "Replay" }).click();
  await page.getByRole("row").filter({ hasText: "demo.orders" }).getByText("done").waitFor();
  await shot(page, "a replay that is done");
});
