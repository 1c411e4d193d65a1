// The groups of an endpoint's settings: how events are sent, how fast, and what happens when that fails.
import { html } from "../core/ui.js";
import { Choice, Group, Text } from "../parts/field.js";
import { DEFAULTS } from "./endpoint_fields.js";

const MODES = [["stream", "stream: a request for each event"], ["batch", "batch: many events in a request"]];
const FORMATS = [["envelope", "envelope: the event with its id, type, time, tenant"], ["raw", "raw: the record as its producer wrote it"]];
const BATCHES = [["json_array", "a JSON array"], ["ndjson", "NDJSON: one object a line"]];
const ORDERS = [["", "none: as fast as it goes"], ["key", "by the record's key"], ["partition", "by partition"]];
const FAILURES = [["block", "it waits, and those behind it wait"], ["dead_letter", "it becomes a dead letter, and the rest goes on"]];
const PAUSES = [["growing", "growing"], ["listed", "as listed"]];

// A field of this group by its name.
const field = ({ form, set, problem }) => (name, rest = {}) => ({ name, value: form[name], onValue: set(name), problem, placeholder: DEFAULTS[name] && `${DEFAULTS[name]} by default`, ...rest });

export function SendingGroup(of) {
  const [{ form }, put] = [of, field(of)];
  const batch = form.mode === "batch";
  return html`<${Group} title="How events are sent">
    <${Choice} label="Mode" ...${put("mode")} options=${MODES} wide />
    ${batch && html`
      <${Text} label="Events in a batch, at most" ...${put("batch.events_max")} inputmode="numeric" hint="1 to 10,000" />
      <${Text} label="A batch waits at most" ...${put("batch.wait_ms_max")} hint="for more events, as 200 ms or 2 s" />
      <${Text} label="Size of a batch, at most" ...${put("batch.bytes_max")} hint="1 KiB to 8 MiB" />`}
    <${Choice} label="What is sent" ...${put("format")} options=${FORMATS} wide />
    ${batch && html`<${Choice} label="A batch is" ...${put("batch_format")} options=${BATCHES} />`}
    <${Choice} label="Order" ...${put("ordering.by")} options=${ORDERS} hint=${form["ordering.by"] && "Kafka's order; one event of a lane at a time"} />
    ${form["ordering.by"] !== "" && html`<${Choice} label="An event that fails" ...${put("ordering.on_failure")} options=${FAILURES} wide />`}
  <//>`;
}

export function PaceGroup(of) {
  const put = field(of);
  return html`<${Group} title="How fast">
    <${Text} label="Requests at once" ...${put("in_flight_max")} inputmode="numeric" hint="1 to 256" />
    <${Text} label="A request may take" ...${put("request_timeout_ms")} hint="100 ms to 2 min, with its answer" />
    <${Text} label="Rate limit, events a second" ...${put("rate_limit.events_per_second")} inputmode="numeric" placeholder="no limit" hint="instances share it" />
    <${Text} label="Events at once after a pause" ...${put("rate_limit.burst_events")} inputmode="numeric" placeholder="as the limit" hint="at least a whole batch" />
  <//>`;
}

export function RetryGroup(of) {
  const [{ form, set }, put] = [of, field(of)];
  return html`<${Group} title="When a request fails">
    <${Text} label="Attempts, at most" ...${put("retry.attempts_max")} inputmode="numeric" hint="1 to 100, then it is a dead letter; empty: tried until it is too old" />
    <${Choice} label="Pauses between them" value=${form.schedule ? "listed" : "growing"} onValue=${(value) => set("schedule")(value === "listed")} options=${PAUSES} />
    ${form.schedule
      ? html`<${Text} label="Pauses" ...${put("retry.schedule_ms")} wide placeholder="5 s, 1 min, 10 min, 1 h" hint="the last one from then on; each at most 3 d" />`
      : html`
        <${Text} label="The first pause" ...${put("retry.base_ms")} hint="doubled from attempt to attempt, with jitter" />
        <${Text} label="The longest pause" ...${put("retry.max_ms")} hint="at most 3 d" />`}
  <//>`;
}

export function BreakerGroup(of) {
  const put = field(of);
  return html`<${Group} title="Breaker" lead="While it is open nothing is sent but a probe now and then; events wait, and no attempts are used up.">
    <${Text} label="Opens after failures in a row" ...${put("breaker.consecutive_failures")} inputmode="numeric" />
    <${Text} label="or when this share fails" ...${put("breaker.failure_ratio")} hint="of the requests within the window" />
    <${Text} label="of at least, requests" ...${put("breaker.requests_min")} inputmode="numeric" />
    <${Text} label="Window" ...${put("breaker.window_ms")} hint="1 s to 1 h" />
    <${Text} label="Stays open at first" ...${put("breaker.open_base_ms")} hint="doubled with each probe that fails" />
    <${Text} label="and at most" ...${put("breaker.open_max_ms")} hint="up to 1 d" />
  <//>`;
}
