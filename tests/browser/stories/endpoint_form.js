// An endpoint's form: what it makes, what it says of mistakes, and what happens when two people write at once.
import assert from "node:assert/strict";

import { shot, signIn, story } from "../harness/browser.js";
import { api, service, until } from "../harness/service.js";

story("an endpoint is made by its form, and what is wrong stands beside its field", { expected: [[422, /^\/v1\/endpoints$/]] }, async (page) => {
  await signIn(page, service.key, "#/endpoints");
  await page.getByRole("button", { name: "New endpoint" }).click();
  await page.getByRole("heading", { name: "New endpoint" }).waitFor();
  await page.getByLabel("Address").fill("ftp://receiver.example/hook");
  await page.getByLabel("Customer", { exact: true }).fill("demo-acme");
  await page.getByLabel("uid", { exact: true }).fill("browser-form");
  await page.getByLabel("Mode").selectOption("batch");
  await page.getByLabel("A batch waits at most").fill("soon");
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByText("must be a length of time").waitFor();
  assert.equal(await focused(page), "A batch waits at most", "the first wrong field has the focus");
  await page.getByLabel("A batch waits at most").fill("2 s");
  await page.getByLabel("Requests at once").fill("1,000");
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByText("must begin with http").waitFor();
  await shot(page, "a form with mistakes");
  assert.deepEqual(await page.locator("[aria-invalid]").evaluateAll((all) => all.map(({ labels }) => labels[0].textContent)), ["Address", "Requests at once"]);

  await page.getByLabel("Address").fill("http://127.0.0.1:59999/hook");
  await page.getByLabel("Requests at once").fill("3");
  await page.getByLabel("Rate limit, events a second").fill("5,000");
  await page.getByLabel("Order").selectOption("key");
  await page.getByLabel("An event that fails").selectOption("dead_letter");
  await page.getByLabel("Pauses between them").selectOption("listed");
  await page.getByLabel("Pauses", { exact: true }).fill("500 ms, 5 s, 1 h");
  await page.getByLabel("or when this share fails").fill("12.5 %");
  await page.getByLabel("Authentication").selectOption("headers");
  await page.getByLabel("Header 1, name").fill("x-api-key");
  await page.getByLabel("Header 1, value").fill("hush");
  await shot(page, "a new endpoint");
  await page.getByRole("button", { name: "Create the endpoint" }).click();
  await page.getByText("only time it is shown").waitFor();
  assert.match(await page.locator(".secret code").textContent(), /^whsec_/);
  await page.getByRole("button", { name: "I have it" }).click();
  await page.getByText("It subscribes to nothing").waitFor();

  const made = await api("GET", "endpoints/browser-form");
  assert.deepEqual([made.mode, made.batch.wait_ms_max, made.in_flight_max], ["batch", 2000, 3]);
  assert.deepEqual(made.rate_limit, { events_per_second: 5000, burst_events: 5000 });
  assert.deepEqual(made.ordering, { by: "key", on_failure: "dead_letter" });
  assert.deepEqual([made.retry.schedule_ms, made.breaker.failure_ratio], [[500, 5000, 3_600_000], 0.125]);
  assert.deepEqual(made.auth, { type: "headers", names: ["x-api-key"] });
});

story("an endpoint's settings are changed, an empty field takes its default, and secrets stay", {}, async (page) => {
  await signIn(page, service.key, "#/endpoints/browser-form/settings");
  const before = await api("GET", "endpoints/browser-form");
  await page.getByRole("button", { name: "Change the settings" }).click();
  assert.equal(await page.getByLabel("A batch waits at most").inputValue(), "2 s");
  await page.getByText("It stays as it is: headers").waitFor();
  await page.getByLabel("Requests at once").fill("");
  const byDefault = (await page.getByLabel("Requests at once").getAttribute("placeholder")).replace(" by default", "");
  await page.getByLabel("Rate limit, events a second").fill("");
  await page.getByLabel("Events at once after a pause").fill("");
  await page.getByLabel("Pauses between them").selectOption("growing");
  await page.getByLabel("The first pause").fill("2 s");
  await page.getByLabel("Order").selectOption("");
  await shot(page, "settings");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("browser-form is changed").waitFor();
  const after = await api("GET", "endpoints/browser-form");
  assert.deepEqual([String(after.in_flight_max), after.rate_limit, after.ordering], [byDefault, null, null]);
  assert.deepEqual(after.retry, { attempts_max: null, base_ms: 2000, max_ms: 3_600_000 });
  assert.deepEqual([after.batch, after.auth, after.breaker], [before.batch, before.auth, before.breaker], "the rest is as it was");

  // The same as JSON, which says what the fields say.
  await page.getByRole("button", { name: "Change the settings" }).click();
  await page.getByRole("button", { name: "JSON" }).click();
  const area = page.getByLabel("Settings as JSON");
  const json = JSON.parse(await area.inputValue());
  assert.deepEqual([json.batch, json.retry, json.breaker], [after.batch, after.retry, after.breaker]);
  await area.fill("{");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("This is not JSON").waitFor();
  await area.fill(JSON.stringify({ ...json, description: "written as JSON" }));
  await page.getByRole("button", { name: "Fields" }).click();
  assert.equal(await page.getByLabel("Description").inputValue(), "written as JSON", "what is written in the one is there in the other");
  await page.getByRole("button", { name: "Save" }).click();
  // The page may still say so of the change before.
  await until("it is saved", async () => (await api("GET", "endpoints/browser-form")).description === "written as JSON");
});

story("every default that a form names is the one that an endpoint gets", {}, async (page) => {
  await page.goto(service.base);
  const made = await api("PUT", "endpoints/browser-defaults", { customer_id: "demo-acme", url: "http://127.0.0.1:59999/hook" });
  const pairs = await page.evaluate(async (settings) => {
    const { DEFAULTS, formOf } = await import(document.querySelector("script[type=module]").src.replace("app.js", "views/endpoint_fields.js"));
    const form = formOf(settings);
    return Object.entries(DEFAULTS).map(([name, value]) => [name, value, form[name]]);
  }, made);
  assert.ok(pairs.length > 10);
  // An empty field is no end.
  for (const [name, said, got] of pairs) assert.equal(said, got || "no end", name);
  await api("DELETE", "endpoints/browser-defaults");
});

story("who writes at the same time as another is told what changed, and loses nothing", { expected: [[412, /browser-form|\/ep_/]] }, async (page) => {
  await signIn(page, service.key, "#/endpoints/browser-form/settings?edit=1");
  await page.getByLabel("Requests at once").fill("5");
  await api("PATCH", "endpoints/browser-form", { request_timeout_ms: 7000 });
  const notice = page.getByRole("alert").filter({ hasText: "changed by someone else" });
  await notice.getByText("request_timeout_ms").waitFor();
  await notice.getByText("You changed nothing of that").waitFor();
  await shot(page, "somebody else wrote");
  await page.getByRole("button", { name: "Save my changes" }).click();
  await page.getByText("browser-form is changed").waitFor();
  const both = await api("GET", "endpoints/browser-form");
  assert.deepEqual([both.in_flight_max, both.request_timeout_ms], [5, 7000], "both changes are there");

  // And when nobody could have seen it yet: the write itself comes too late.
  await page.getByRole("button", { name: "Change the settings" }).click();
  await page.getByLabel("Requests at once").fill("6");
  let other = false;
  await page.route("**/v1/endpoints/*", async (route) => {
    if (route.request().method() === "PATCH" && !other) {
      other = true;
      await api("PATCH", "endpoints/browser-form", { in_flight_max: 9 });
    }
    await route.continue();
  });
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("This was not saved: browser-form was changed meanwhile").waitFor();
  assert.equal((await api("GET", "endpoints/browser-form")).in_flight_max, 9, "the other's write stands");
  assert.equal(await page.getByLabel("Requests at once").inputValue(), "6", "and what was typed is still there");
  await page.getByRole("button", { name: "Show the current version" }).click();
  await notice.getByText("You changed in_flight_max as well").waitFor();
  await page.getByRole("button", { name: "Begin again with what is there" }).click();
  await until("the fields show what is there", async () => (await page.getByLabel("Requests at once").inputValue()) === "9");
  await page.unroute("**/v1/endpoints/*");
  await api("DELETE", "endpoints/browser-form");
});

story("lengths of time, sizes and shares are read as they are written", {}, async (page) => {
  await page.goto(service.base);
  const seen = await page.evaluate(async () => {
    const { DURATION, SIZE, PERCENT, WHOLE, DURATIONS } = await import(document.querySelector("script[type=module]").src.replace("app.js", "core/units.js"));
    const tried = (kind, text) => {
      try {
        return kind.read(text);
      } catch {
        return "refused";
      }
    };
    const back = (kind, values) => values.every((value) => kind.read(kind.write(value)) === value);
    return {
      times: ["500", "500 ms", "1.5 s", "2min", "1 h", "3 d", "1 year", "-1 s", "s", "1 s 5"].map((text) => tried(DURATION, text)),
      sizes: ["1 MiB", "512 KiB", "1,024 B", "2 mb", "x"].map((text) => tried(SIZE, text)),
      rest: [tried(PERCENT, "50 %"), tried(PERCENT, "12.5"), tried(WHOLE, "10,000"), tried(WHOLE, "1.5"), tried(WHOLE, "-1"), tried(DURATIONS, "1 s, 2 s")],
      back: [back(DURATION, [0, 1, 999, 1000, 1500, 90_000, 3_600_000, 259_200_000]), back(SIZE, [1, 1024, 1500, 1_048_576, 8_388_608])],
    };
  });
  assert.deepEqual(seen.times, [500, 500, 1500, 120_000, 3_600_000, 259_200_000, "refused", "refused", "refused", "refused"]);
  assert.deepEqual(seen.sizes, [1_048_576, 524_288, 1024, 2_097_152, "refused"]);
  assert.deepEqual(seen.rest, [0.5, 0.125, 10_000, "refused", "refused", [1000, 2000]]);
  assert.deepEqual(seen.back, [true, true], "what is written is read as the same number");
});

const focused = (page) => page.evaluate(() => document.activeElement.labels?.[0]?.textContent);
