// Kafka again, for one endpoint: how far each replay has come, and a new one.
import { path, post } from "../core/api.js";
import { count, time } from "../core/format.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { mayWrite } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Confirm, Dialog } from "../parts/dialog.js";
import { Text } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { EndpointField, TopicField } from "../parts/lookup.js";
import { Loaded } from "../parts/notice.js";
import { State } from "../parts/state.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At, zone } from "../parts/time.js";
import { Title } from "../parts/title.js";

export function Replays({ who, query }) {
  const [trail, setTrail] = useState([]);
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState(null);
  const live = useLive("replays", { endpoint_id: query.endpoint, limit: 50, cursor: cursorOf(trail) }, 2000);
  return html`
    <${Title} live=${live} actions=${mayWrite(who) && html`<button class="primary" onClick=${() => setAdding(true)}>New replay</button>`}>Replays<//>
    <p class="lead">A closed range of a topic, sent to one endpoint again, under the ids that its events had the first time.</p>
    ${query.endpoint && html`<p class="filters"><span class="chip">endpoint <code>${query.endpoint}</code>
      <a href=${to(["replays"])} aria-label="Show the replays of all endpoints">×</a></span></p>`}
    <${Loaded} live=${live} what="the replays">${({ data, next_cursor: next }) => html`
      <${Table} caption="Replays" rows=${data} rowKey=${({ id }) => id} columns=${columns(mayWrite(who) && setEnding)} empty="Nothing was replayed yet." />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="replays" />`}
    <//>
    ${adding && html`<${NewReplay} who=${who} endpoint=${query.endpoint} onClose=${() => setAdding(false)} onDone=${live.reload} />`}
    ${ending && html`<${Confirm} danger title="Cancel this replay?" label="Cancel the replay" onClose=${() => setEnding(null)}
      action=${() => post(path("replays", ending.id, "cancel"))} onDone=${() => { announce("The replay is cancelled"); live.reload(); }}>
      <p>What it has sent is sent. The rest is not, unless another replay is asked for.</p><//>`}`;
}

function columns(onCancel) {
  return [
    { title: "Topic", cell: ({ topic }) => html`<code>${topic}</code>` },
    { title: "Endpoint", cell: ({ endpoint_id: id }) => html`<a href=${to(["endpoints", id])}><code>${id}</code></a>` },
    { title: "Range", wide: true, cell: ({ from_time: from, to_time: until, partitions }) => from
      ? `${time(from)} to ${time(until)}`
      : partitions.slice(0, 3).map(({ partition, from_offset: low, to_offset: high }) => `${partition}: ${low} to ${high}`).join(", ") },
    { title: "State", cell: ({ state }) => html`<${State} of=${state === "running" ? "running" : state} />` },
    { title: "Progress", cell: (replay) => html`<${Progress} replay=${replay} />` },
    { title: "Sent", number: true, cell: ({ events_sent: sent }) => count(sent) },
    { title: "Not in Kafka any more", number: true, cell: ({ gap_offsets: gap }) => html`<span class=${gap > 0 ? "bad" : ""}>${count(gap)}</span>` },
    { title: "Requested", cell: ({ created_at: at }) => html`<${At} at=${at} />` },
    ...(onCancel ? [{ title: html`<span class="unseen">Actions</span>`, number: true, cell: (replay) => ["waiting", "running"].includes(replay.state) && html`<button class="small" onClick=${() => onCancel(replay)}>Cancel</button>` }] : []),
  ];
}

// How much of the range lies behind.
export function share({ partitions, state }) {
  if (state === "done") return 1;
  const known = partitions.filter(({ from_offset: low, to_offset: high }) => Number.isFinite(low) && Number.isFinite(high) && high >= low);
  const all = known.reduce((sum, { from_offset: low, to_offset: high }) => sum + high - low + 1, 0);
  const done = known.reduce((sum, { from_offset: low, to_offset: high, next_offset: next }) => sum + Math.min(high + 1, next ?? low) - low, 0);
  return all > 0 ? done / all : 0;
}

const Progress = ({ replay }) => html`<progress max="1" value=${share(replay)} aria-label="Progress"></progress> <small class="inline">${Math.floor(share(replay) * 100)} %</small>`;

function NewReplay({ endpoint, who, onClose, onDone }) {
  const hour = (back) => new Date(Date.now() - back * 3_600_000 - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
  const [form, setForm] = useState({ endpoint_id: endpoint ?? "", topic: "", from: hour(1), to: hour(0) });
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const submit = async () => {
    await post("replays", { endpoint_id: form.endpoint_id, topic: form.topic, from_time: iso(form.from), to_time: iso(form.to) });
    announce("The replay is on its way");
    onDone();
    onClose();
  };
  return html`<${Dialog} title="New replay" onClose=${onClose}>
    <${Form} label="Replay" onCancel=${onClose} onSubmit=${submit}>${(problem) => html`
      <${EndpointField} name="endpoint_id" value=${form.endpoint_id} onValue=${set("endpoint_id")} problem=${problem} />
      <${TopicField} who=${who} name="topic" value=${form.topic} onValue=${set("topic")} problem=${problem} />
      <${Text} label="From" name="from_time" type="datetime-local" step="1" value=${form.from} onValue=${set("from")} problem=${problem} />
      <${Text} label="To" name="to_time" type="datetime-local" step="1" value=${form.to} onValue=${set("to")} problem=${problem} hint="Both ends belong to the range. In ${zone()}." />`}
    <//>
  <//>`;
}

const iso = (local) => (Number.isNaN(new Date(local).getTime()) ? local : new Date(local).toISOString());
