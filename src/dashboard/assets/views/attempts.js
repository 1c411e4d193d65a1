// What was sent to one endpoint and how it answered: failures in full, of successes a sample.
import { path } from "../core/api.js";
import { count, duration, words } from "../core/format.js";
import { useLive } from "../core/live.js";
import { html, useState } from "../core/ui.js";
import { Choice } from "../parts/field.js";
import { Loaded } from "../parts/notice.js";
import { State } from "../parts/state.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At } from "../parts/time.js";

const OUTCOMES = [["", "any"], ["not_delivered", "all but delivered"], ...["delivered", "rejected", "failed", "gone", "disconnected", "local_fault"].map((name) => [name, words(name)])];

export function Attempts({ endpoint }) {
  const [trail, setTrail] = useState([]);
  const [outcome, setOutcome] = useState("");
  const live = useLive(path("endpoints", endpoint.id, "attempts"), { outcome, limit: 50, cursor: cursorOf(trail) }, 5000);
  return html`
    <div class="filters"><${Choice} label="Outcome" value=${outcome} options=${OUTCOMES} onValue=${(next) => { setTrail([]); setOutcome(next); }} /></div>
    <${Loaded} live=${live} what="the attempts">${({ data, next_cursor: next }) => html`
      <p class="fine">All failed attempts are listed. Delivered ones are sampled; each says how many it represents.</p>
      <${Table} caption="Attempts, newest first" rows=${data} rowKey=${({ id }) => id} columns=${COLUMNS} empty="No attempt is on record." />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="attempts" />`}
    <//>`;
}

const COLUMNS = [
  { title: "Ended", cell: ({ ended_at: at }) => html`<${At} at=${at} />` },
  { title: "Outcome", cell: ({ outcome, stands_for: many }) => html`<${State} of=${outcome} />${many > 1 && html`<small>one of ${count(many)}</small>`}` },
  { title: "Status", number: true, cell: ({ status }) => status ?? "–" },
  { title: "Took", number: true, cell: ({ duration_ms: ms }) => duration(ms) },
  { title: "Events", number: true, cell: ({ events }) => count(events) },
  { title: "Attempt", number: true, cell: ({ attempt }) => count(attempt) },
  { title: "Response", wide: true, cell: ({ outcome, class: kind, excerpt }) => html`${outcome !== "delivered" && kind && words(kind)}${excerpt && html`<small class="excerpt">${excerpt}</small>`}` },
  { title: "Then", cell: ({ next, next_at: at }) => html`${next && next !== "none" && words(next)}${at && html`<small><${At} at=${at} /></small>`}` },
  { title: "webhook-id", wide: true, cell: ({ webhook_id: id }) => html`<code class="dim">${id}</code>` },
];
