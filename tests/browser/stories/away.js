// The service goes away and comes back: the page says so, keeps what it has, and recovers by itself.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { service } from "../harness/service.js";

story("while the service is away the page says so and shows what it had; then it goes on", {}, async (page, watch) => {
  await signIn(page, service.key, "#/endpoints?q=demo");
  await page.getByRole("link", { name: "demo-acme-stream" }).waitFor();
  watch.lenient = true;
  await page.route("**/v1/**", (route) => route.abort());
  await page.getByText("Postrider does not answer").waitFor();
  await page.getByText("as of").waitFor();
  assert.equal(await page.getByRole("link", { name: "demo-acme-stream" }).count(), 1, "what was read stays");
  await shot(page, "the service is away");
  await page.unroute("**/v1/**");
  await page.getByText("Postrider does not answer").waitFor({ state: "detached" });
  await page.getByText("live,").waitFor();
});
