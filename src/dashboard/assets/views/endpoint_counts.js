// How many events an endpoint took and how many attempts failed: by the minute or the hour, as far back as is wanted.
import { path } from "../core/api.js";
import { compact, count } from "../core/format.js";
import { useLive } from "../core/live.js";
import { html, useState } from "../core/ui.js";
import { ProblemNotice } from "../parts/notice.js";
import { Plot, WHOLE } from "../parts/plot.js";

const HOUR_MS = 3_600_000;
// The API tells at most a day by the minute.
const RANGES = {
  hour: { text: "the last hour", per: "minute", ms: HOUR_MS },
  hours: { text: "the last 6 hours", per: "minute", ms: 6 * HOUR_MS },
  day: { text: "the last 24 hours", per: "minute", ms: 24 * HOUR_MS },
  week: { text: "the last 7 days", per: "hour", ms: 7 * 24 * HOUR_MS },
  month: { text: "the last 30 days", per: "hour", ms: 30 * 24 * HOUR_MS },
};
const EVERY_MS = 15_000;
// A point whose time is not over, or that is not written down yet, would look like a fall; the sums have it all.
const LENGTH_MS = { minute: 60_000, hour: HOUR_MS };
const WRITTEN_MS = 60_000;

export function EndpointCounts({ id }) {
  const [range, setRange] = useState("hour");
  const { text, per, ms } = RANGES[range];
  const { data, problem } = useLive(path("endpoints", id, "stats"), { per, since: { ago: ms } }, EVERY_MS);
  const points = (data?.counts.data ?? []).filter(({ at }) => Date.parse(at) + LENGTH_MS[per] + WRITTEN_MS <= Date.now());
  const of = (name) => points.map((point) => point[name]);
  return html`<div class="counted">
    <${Plot} title="Delivered and failed" span=${`by the ${per}, ${text}`} times=${points.map(({ at }) => Date.parse(at))} show=${compact} steps=${WHOLE} series=${[
      { label: "delivered", colour: "accent", values: of("delivered"), sum: count(data?.counts.delivered) },
      { label: "failed attempts", colour: "bad", values: of("failed_attempts"), sum: count(data?.counts.failed_attempts) },
    ]}>
      <select class="range" aria-label="How far back" onChange=${(event) => setRange(event.target.value)}>
        ${Object.entries(RANGES).map(([name, { text }]) => html`<option key=${name} value=${name} selected=${name === range}>${text}</option>`)}
      </select>
      <span class="dim">by the ${per}</span>
    <//>
    <${ProblemNotice} problem=${data === null ? problem : null} />
  </div>`;
}
