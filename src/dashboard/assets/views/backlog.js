// What waits for one endpoint, and since when.
import { path } from "../core/api.js";
import { bytes, compact, count, since, time } from "../core/format.js";
import { useLive } from "../core/live.js";
import { useTrace } from "../core/trace.js";
import { html } from "../core/ui.js";
import { Loaded } from "../parts/notice.js";
import { Plot, WHOLE } from "../parts/plot.js";
import { Table } from "../parts/table.js";
import { Figure } from "../parts/figure.js";
import { At } from "../parts/time.js";

export function Backlog({ endpoint }) {
  const live = useLive(path("endpoints", endpoint.id, "backlog"), null, 2000);
  const trace = useTrace(`${endpoint.id} backlog`, live, ({ events }) => [events]);
  return html`<${Loaded} live=${live} what="the backlog">${(backlog) => html`
    ${backlog.suspended_at && html`<p class="notice bad">Its backlog is full since ${time(backlog.suspended_at)}: what comes for it is skipped. Once it is resumed, what was skipped is replayed from Kafka.</p>`}
    <dl class="figures">
      <${Figure} name="Waiting" value=${count(backlog.events)} unit="events" mood=${backlog.events > 0 ? "warn" : ""} note=${direction(trace)} />
      <${Figure} name="Size" value=${bytes(backlog.bytes)} unit="" />
      <${Figure} name="Oldest" value=${backlog.oldest_received_at ? since(backlog.oldest_received_at) : "–"} unit=""
        note=${backlog.oldest_received_at ? `received ${time(backlog.oldest_received_at)}` : ""} />
      ${backlog.oldest_given_up_at && html`<${Figure} name="Kept until" value=${time(backlog.oldest_given_up_at)} unit="" note="then the oldest is a dead letter" />`}
    </dl>
    ${trace.times.length > 1 && html`<${Plot} title="Waiting" span="since this page was opened" times=${trace.times} show=${compact} steps=${WHOLE} series=${[{ label: "events", colour: "warn", values: trace.values[0] }]} />`}
    ${backlog.events === 0
      ? html`<p class="empty">Nothing waits: every event was delivered, or is on its way.</p>`
      : html`<${Table} caption="Backlog by partition" rows=${backlog.partitions} rowKey=${({ topic, partition }) => `${topic}/${partition}`} columns=${COLUMNS} />`}
    ${backlog.gaps?.length > 0 && html`<h2>Skipped, to be replayed</h2>
      <${Table} caption="Skipped ranges" rows=${backlog.gaps} rowKey=${({ topic, partition }) => `${topic}/${partition}`} columns=${GAPS} />`}`}
  <//>`;
}

const COLUMNS = [
  { title: "Topic", cell: ({ topic }) => html`<code>${topic}</code>` },
  { title: "Partition", number: true, cell: ({ partition }) => partition },
  { title: "Events", number: true, cell: ({ events }) => count(events) },
  { title: "Size", number: true, cell: (row) => bytes(row.bytes) },
  { title: "Oldest", number: true, cell: ({ oldest_received_at: at }) => since(at) },
];

const GAPS = [
  { title: "Topic", cell: ({ topic }) => html`<code>${topic}</code>` },
  { title: "Partition", number: true, cell: ({ partition }) => partition },
  { title: "Offsets", number: true, cell: ({ from_offset: from, end_offset: end }) => `${from} to ${end}` },
  { title: "Events", number: true, cell: ({ events }) => count(events) },
  { title: "Since", number: true, cell: ({ since: at }) => html`<${At} at=${at} />` },
];

// Whether it grows or shrinks, by the last few looks at it.
function direction({ times, values }) {
  const first = Math.max(0, times.length - 8);
  const took = times.at(-1) - times[first];
  if (!(took > 1500)) return "";
  const change = values[0].at(-1) - values[0][first];
  return change === 0 ? "steady" : `${change > 0 ? "growing" : "shrinking"} by ${count(Math.abs((change * 1000) / took))} / s`;
}
