// The groups of an endpoint's settings: how events are sent, how fast, and what happens when that fails. Names, limits and
// words of the fields are those of the API.
import fields from "../core/fields.js";
import { html } from "../core/ui.js";
import { Choice, Group, Text } from "../parts/field.js";
import { DEFAULTS, shown } from "./endpoint_fields.js";

const NO_ORDER = ["", "none: as fast as it goes"];
const PAUSES = [["growing", "growing"], ["listed", "as listed"]];

// A sentence as a hint: it may follow another.
const hint = (text) => (text ?? "").replace(/\.$/, "").replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase());

function range(name, { min, max, kind }) {
  if (min === null || max === null) return "";
  if (kind === "array") return `each at most ${shown(name, [max])}`;
  return kind === "number" ? "" : `${grouped(shown(name, min))} to ${grouped(shown(name, max))}`;
}

const grouped = (text) => text.replace(/^\d+/, (digits) => Number(digits).toLocaleString("en"));

// A field by its name, as its kind wants it.
function Setting({ form, set, problem, made, name, first, ...rest }) {
  const field = fields.endpoint[name];
  const put = { label: field.title ?? name, name, value: form[name], onValue: set(name), problem };
  if (field.words.length > 0) {
    const options = field.words.map(([word, about]) => [word, about ? `${word}: ${hint(about)}` : word]);
    return html`<${Choice} ...${put} options=${first ? [first, ...options] : options} hint=${hint(field.about)} wide ...${rest} />`;
  }
  const told = [range(name, field), hint(field.about)].filter(Boolean).join("; ");
  const placeholder = DEFAULTS[name] && `${DEFAULTS[name]} by default`;
  return html`<${Text} ...${put} placeholder=${placeholder} hint=${told} inputmode=${field.kind === "integer" && /^\d*$/.test(DEFAULTS[name] ?? "") ? "numeric" : undefined} ...${rest} />`;
}

// The fields below one name.
const below = (part) => Object.keys(fields.endpoint).filter((name) => name.startsWith(`${part}.`));

const SENDING = ["mode", "format", "batch_format"];
const ELSEWHERE = new Set(["description", ...SENDING, ...["batch", "ordering", "retry", "breaker", "tls"].flatMap(below)]);
// A setting that no other group has is one of how fast it goes.
export const PACE = Object.keys(fields.endpoint).filter((name) => !ELSEWHERE.has(name));

export function SendingGroup(of) {
  const batch = of.form.mode === "batch";
  return html`<${Group} title="Delivery">
    <${Setting} ...${of} name="mode" />
    ${batch && below("batch").map((name) => html`<${Setting} key=${name} ...${of} name=${name} />`)}
    <${Setting} ...${of} name="format" />
    ${batch && html`<${Setting} ...${of} name="batch_format" />`}
    <${Setting} ...${of} name="ordering.by" first=${NO_ORDER} />
    ${of.form["ordering.by"] !== "" && html`<${Setting} ...${of} name="ordering.on_failure" />`}
  <//>`;
}

export function PaceGroup(of) {
  const rest = { "rate_limit.events_per_second": { placeholder: "no limit" }, "rate_limit.burst_events": { placeholder: "as the limit" } };
  return html`<${Group} title="Rate">${PACE.map((name) => html`<${Setting} key=${name} ...${of} name=${name} ...${rest[name] ?? {}} />`)}<//>`;
}

export function RetryGroup(of) {
  const { form, set } = of;
  return html`<${Group} title="Retries">
    <${Setting} ...${of} name="retry.attempts_max" placeholder="no end by default" />
    <${Choice} label="Pauses between them" value=${form.schedule ? "listed" : "growing"} onValue=${(value) => set("schedule")(value === "listed")} options=${PAUSES} />
    ${form.schedule
      ? html`<${Setting} ...${of} name="retry.schedule_ms" wide placeholder="5 s, 1 min, 10 min, 1 h" />`
      : ["retry.base_ms", "retry.max_ms"].map((name) => html`<${Setting} key=${name} ...${of} name=${name} />`)}
  <//>`;
}

export function BreakerGroup(of) {
  const order = ["consecutive_failures", "failure_ratio", "requests_min", "window_ms", "open_base_ms", "open_max_ms"].map((name) => `breaker.${name}`);
  return html`<${Group} title="Breaker" lead="While it is open nothing is sent but a probe now and then; events wait, and no attempts are used up.">
    ${[...new Set([...order, ...below("breaker")])].map((name) => html`<${Setting} key=${name} ...${of} name=${name} />`)}
  <//>`;
}
