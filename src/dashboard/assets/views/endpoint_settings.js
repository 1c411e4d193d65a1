// An endpoint's settings, and a way to change them.
import fields from "../core/fields.js";
import { bytes, count, duration, words } from "../core/format.js";
import { go } from "../core/route.js";
import { mayWrite } from "../core/session.js";
import { html, useEffect, useRef } from "../core/ui.js";
import { CustomerOf } from "../parts/customer.js";
import { Facts } from "../parts/facts.js";
import { At } from "../parts/time.js";
import { shown } from "./endpoint_fields.js";
import { EditEndpoint } from "./endpoint_form.js";
import { PACE } from "./endpoint_groups.js";

export function EndpointSettings({ endpoint, who, reload, query }) {
  const place = ["endpoints", endpoint.id, "settings"];
  const done = () => go(place);
  const heading = useRef(null);
  const editing = query.edit === "1" && mayWrite(who);
  useEffect(() => heading.current?.focus(), [editing]);
  if (editing) {
    return html`<h2 tabindex="-1" ref=${heading}>Change the settings</h2>
      <${EditEndpoint} endpoint=${endpoint} reload=${reload} onClose=${done} onDone=${() => { reload(); done(); }} />`;
  }
  return html`
    ${mayWrite(who) && html`<div class="buttons"><button onClick=${() => go(place, { edit: 1 })}>Change the settings</button></div>`}
    <div class="groups">${groups(endpoint).map(([title, facts]) => html`<section key=${title}><h2>${title}</h2><${Facts} of=${facts} /></section>`)}</div>`;
}

function groups({ auth = {}, batch = {}, retry = {}, breaker = {}, ...of }) {
  const limit = of.rate_limit;
  return [
    ["Where and who", [
      ["Address", html`<code>${of.url}</code>`],
      ["Customer", html`<${CustomerOf} id=${of.customer_id} /> <code class="dim">${of.customer_id}</code>`],
      ["Key", of.uid && html`<code>${of.uid}</code>`],
      ["Description", of.description],
      ["We say who we are by", words(auth.type)],
      ["as", auth.username ?? auth.client_id ?? auth.names?.join(", ") ?? auth.certificate_sha256?.slice(0, 16)],
      ["Certificate authorities", of.tls?.ca && "trusted in addition to the machine's"],
      ["Changed", html`<${At} at=${of.updated_at} />, version ${of.version}`],
    ]],
    ["Delivery", [
      ["Mode", of.mode],
      ["Batch", of.mode === "batch" && `${count(batch.events_max)} events, ${duration(batch.wait_ms_max)} or ${bytes(batch.bytes_max)}`],
      ["Format", of.mode === "batch" ? `${words(of.format)}, ${words(of.batch_format)}` : words(of.format)],
      ["Order", of.ordering ? `by ${of.ordering.by}; a failing event ${of.ordering.on_failure === "block" ? "holds those behind it" : "becomes a dead letter"}` : "none"],
      ["Rate limit", limit ? `${count(limit.events_per_second)} events / s, ${count(limit.burst_events)} at once` : "none"],
      ...PACE.filter((name) => !name.includes(".")).map((name) => [fields.endpoint[name].title ?? name, of[name] === null || of[name] === undefined ? "" : shown(name, of[name])]),
    ]],
    ["Retries", [
      ["Attempts", retry.attempts_max ? count(retry.attempts_max) : "until the event is too old"],
      ["Pauses", retry.schedule_ms ? retry.schedule_ms.map(duration).join(", ") : `${duration(retry.base_ms)}, doubling up to ${duration(retry.max_ms)}`],
    ]],
    ["Breaker", [
      ["Opens after", `${count(breaker.consecutive_failures)} failures in a row`],
      ["or when", `${Math.round(breaker.failure_ratio * 100)} % of at least ${count(breaker.requests_min)} requests in ${duration(breaker.window_ms)} fail`],
      ["Stays open", `${duration(breaker.open_base_ms)}, growing to ${duration(breaker.open_max_ms)}`],
    ]],
  ];
}
