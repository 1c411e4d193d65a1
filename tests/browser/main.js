// The web page in a real browser. One Postrider and one browser serve all stories, one after the other.
import { after } from "node:test";

import { launch, quit } from "./harness/browser.js";
import { close, open } from "./harness/service.js";

await launch();
await open();
after(async () => {
  await quit();
  await close();
  console.log(`screenshots: ${process.env.SHOTS}`);
});

const only = process.argv.slice(2);
const ALL = ["sign_in", "customer", "roles", "delivery", "dead_letters", "endpoint_form", "settings_forms", "unsaved", "customer_names", "loading", "counts", "replay", "keyboard", "accessibility", "narrow", "long_names", "away", "many"];
for (const stories of ALL) {
  if (only.length === 0 || only.includes(stories)) await import(`./stories/${stories}.js`);
}
