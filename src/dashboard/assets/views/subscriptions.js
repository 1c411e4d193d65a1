// Who wants what; and which endpoints an event would go to.
import { call, path } from "../core/api.js";
import { count } from "../core/format.js";
import { useLive } from "../core/live.js";
import { go, to } from "../core/route.js";
import { mayWrite } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Confirm } from "../parts/dialog.js";
import { Loaded } from "../parts/notice.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At } from "../parts/time.js";
import { Title } from "../parts/title.js";
import { Search } from "./endpoints.js";
import { Match } from "./match.js";
import { SubscriptionForm } from "./subscription_form.js";

export const Subscriptions = ({ query, who }) => html`
  <${Title}>Subscriptions<//>
  <${Match} who=${who} />
  <h2>All subscriptions</h2>
  <${SubscriptionTable} topic=${query.topic} who=${who} onTopic=${(topic) => go(["subscriptions"], { topic }, { replace: true })} />`;

// Of one endpoint, or of all.
export function SubscriptionTable({ endpointId, topic, onTopic, who }) {
  const [trail, setTrail] = useState([]);
  const [form, setForm] = useState(null);
  const [leaving, setLeaving] = useState(null);
  const live = useLive("subscriptions", { endpoint_id: endpointId, topic, limit: 50, cursor: cursorOf(trail) }, 10_000);
  const write = mayWrite(who);
  return html`
    <div class="filters">
      ${onTopic && html`<${Search} label="Topic" placeholder="its whole name" value=${topic ?? ""} onValue=${(next) => { setTrail([]); onTopic(next); }} />`}
      ${write && html`<div class="buttons"><button class=${endpointId ? "primary" : ""} onClick=${() => setForm({})}>New subscription</button></div>`}
    </div>
    <${Loaded} live=${live} what="the subscriptions">${({ data, next_cursor: next }) => html`
      <${Table} caption="Subscriptions" rows=${data} rowKey=${({ id }) => id} columns=${columns(endpointId, write && { onDelete: setLeaving, onChange: (subscription) => setForm({ subscription }) })}
        empty=${endpointId ? "It subscribes to nothing, so it receives nothing." : "There are no subscriptions like that."} />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="subscriptions" />`}
    <//>
    ${form && html`<${SubscriptionForm} ...${form} endpointId=${endpointId} who=${who} onClose=${() => setForm(null)} onDone=${live.reload} />`}
    ${leaving && html`<${Confirm} danger title="Delete this subscription?" label="Delete" onClose=${() => setLeaving(null)}
      action=${() => call("DELETE", path("subscriptions", leaving.id))} onDone=${() => { announce("The subscription is deleted"); live.reload(); }}>
      <p>The endpoint receives no more of <code>${leaving.topic}</code> by it (${said(leaving.scope)}). What waits for it by this subscription alone is cancelled.</p>
    <//>`}`;
}

function columns(endpointId, may) {
  return [
    { title: "Topic", cell: ({ topic, warnings }) => html`<code>${topic}</code>${warnings?.map((warning) => html`<small class="bad" key=${warning}>${warning}</small>`)}` },
    { title: "Scope", wide: true, cell: ({ scope }) => html`<${Scope} scope=${scope} />` },
    ...(endpointId ? [] : [{ title: "Endpoint", cell: ({ endpoint_id: id }) => html`<a href=${to(["endpoints", id])}><code>${id}</code></a>` }]),
    { title: "Key", cell: ({ uid, id }) => html`<code class="dim">${uid ?? id}</code>` },
    { title: "Changed", cell: ({ updated_at: at }) => html`<${At} at=${at} />` },
    ...(may ? [{ title: html`<span class="unseen">Actions</span>`, number: true, cell: (row) => html`<span class="row-actions">
      <button class="small" onClick=${() => may.onChange(row)} aria-label="Change the subscription to ${row.topic}">Change</button>
      <button class="small" onClick=${() => may.onDelete(row)} aria-label="Delete the subscription to ${row.topic}">Delete</button></span>` }] : []),
  ];
}

const SHOWN = 8;
const some = (names) => `${names.slice(0, SHOWN).join(", ")}${names.length > SHOWN ? ` and ${count(names.length - SHOWN)} more` : ""}`;

export function said(scope) {
  if (!scope) return "";
  if (scope.level === "topic") return "the whole topic";
  if (scope.level === "tenants") return `tenants ${some(scope.tenants)}`;
  return `departments of ${some(Object.keys(scope.departments))}`;
}

function Scope({ scope }) {
  if (scope?.level !== "departments") return said(scope);
  const tenants = Object.entries(scope.departments);
  return html`departments${" "}
    ${tenants.slice(0, SHOWN).map(([tenant, names]) => html`<span class="chip" key=${tenant}>${tenant}: ${some(names)}</span>`)}
    ${tenants.length > SHOWN && `and of ${count(tenants.length - SHOWN)} more tenants`}`;
}
