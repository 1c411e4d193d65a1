// Chromium, and pages that are watched: what a page must never do is asserted at the end of every story.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { test } from "node:test";

import { chromium } from "playwright-core";

import { service } from "./service.js";

const SHOTS = process.env.SHOTS;
let browser = null;

export async function launch() {
  mkdirSync(SHOTS, { recursive: true });
  // The last ones keep the browser itself from looking for updates and the like: then every request is the page's.
  const args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
}

export const quit = () => browser.close();

// A story in a browser of its own. `expected`: the answers (status and path) that it is about.
export function story(name, { scheme = "light", expected = [] }, tell) {
  test(name, async () => {
    const context = await browser.newContext({ colorScheme: scheme, viewport: { width: 1440, height: 900 } });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    const watch = watched(page, expected);
    try {
      await tell(page, watch);
      assert.deepEqual(watch.wrong, [], "the page did what it must not do");
    } catch (failure) {
      await shot(page, `failed ${name}`).catch(() => {});
      if (watch.wrong.length > 0) failure.message += `\nseen in the browser: ${watch.wrong.join("\n")}`;
      throw failure;
    } finally {
      // A poll of the page may be under way.
      await page.unrouteAll({ behavior: "ignoreErrors" });
      await context.close();
    }
  });
}

function watched(page, expected) {
  const watch = { wrong: [], requests: [], lenient: false };
  const note = (what) => watch.lenient || watch.wrong.push(what);
  page.on("pageerror", (error) => note(`an error nobody caught: ${error.stack}`));
  page.on("console", (message) => {
    // Answers that are no success are looked at below, with their paths.
    if (!["error", "warning"].includes(message.type()) || message.text().startsWith("Failed to load resource")) return;
    note(`the console says: ${message.text()}`);
  });
  page.on("request", (request) => {
    watch.requests.push(request.url());
    const { origin, protocol } = new URL(request.url());
    if (origin !== service.base && protocol !== "blob:") note(`a request to ${request.url()}`);
    if (service.key && request.url().includes(service.key)) note("a key in an address");
  });
  page.on("response", (response) => {
    if (response.status() < 400) return;
    const { pathname } = new URL(response.url());
    if (!expected.some(([status, path]) => status === response.status() && path.test(pathname))) note(`${response.status()} from ${pathname}`);
  });
  return watch;
}

export async function shot(page, name) {
  await page.mouse.move(2, 2); // nothing is pointed at
  await page.screenshot({ path: `${SHOTS}/${name.replaceAll(/[^a-z0-9]+/gi, "-")}.png` });
}

export async function signIn(page, key = service.key, place = "") {
  await page.goto(`${service.base}/${place}`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Main" }).waitFor();
}

// A browser of its own for somebody who is signed in and was never here: nothing is kept from before.
export async function fresh(key = service.key) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  await page.addInitScript((known) => {
    if (location.protocol !== "about:") sessionStorage.setItem("postrider.key", known);
  }, JSON.stringify({ key, role: "admin" }));
  return { page, close: () => context.close() };
}

// The number under a heading such as "Waiting".
export async function figure(page, name) {
  const shown = page.locator(".figure", { has: page.locator("dt", { hasText: name }) }).locator("b");
  return Number((await shown.first().textContent()).replaceAll(",", ""));
}
