// A subscription: a new one, or what another takes. By fields, unless its names cannot be written in them.
import { Problem, call, path } from "../core/api.js";
import { listed, namesOf, writable } from "../core/names.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Dialog } from "../parts/dialog.js";
import { Area, Choice, Field, Text } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { EndpointField, TopicField } from "../parts/lookup.js";

const LEVELS = [["topic", "the whole topic"], ["tenants", "some tenants"], ["departments", "departments of some tenants"], ["json", "as JSON"]];
const NO_ROW = ["", ""];

// `subscription`: the one to change; without one it is new. `endpointId`: whose it will be, where that is known.
export function SubscriptionForm({ subscription, endpointId, who, onClose, onDone }) {
  const [form, setForm] = useState(() => formOf(subscription, endpointId));
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const submit = async () => {
    const scope = scopeOf(form);
    if (subscription) {
      const body = { ...(form.topic === subscription.topic ? {} : { topic: form.topic }), scope };
      await call("PATCH", path("subscriptions", subscription.id), { body, match: `"v${subscription.version}"` });
      announce("The subscription is changed; it takes effect within seconds");
    } else {
      await call("POST", "subscriptions", { body: { endpoint_id: form.endpoint_id, topic: form.topic, scope, ...(form.uid ? { uid: form.uid } : {}) } });
      announce("Subscribed; it takes effect within seconds, for events from now on");
    }
    onDone();
    onClose();
  };
  return html`<${Dialog} wide title=${subscription ? "Change the subscription" : "New subscription"} onClose=${onClose}>
    <${Form} label=${subscription ? "Save" : "Subscribe"} onCancel=${onClose} onSubmit=${submit} notice=${late}>${(problem) => html`
      <div class="fields">
        ${!subscription && !endpointId && html`<${EndpointField} name="endpoint_id" value=${form.endpoint_id} onValue=${set("endpoint_id")} problem=${problem} />`}
        <${TopicField} who=${who} name="topic" value=${form.topic} onValue=${set("topic")} problem=${problem} />
        ${!subscription && html`<${Text} label="uid" name="uid" value=${form.uid} onValue=${set("uid")} problem=${problem} hint="your own key for it; optional" />`}
        <${Choice} label="Scope" name="scope.level" value=${form.level} onValue=${set("level")} options=${LEVELS} problem=${problem} />
      </div>
      ${form.level === "tenants" && html`<${Area} label="Tenants" name="scope" value=${form.tenants} onValue=${set("tenants")} problem=${problem} rows=${5}
        hint=${`${namesOf(form.tenants).length} tenants; one a line, or separated by commas`} />`}
      ${form.level === "departments" && html`<${Departments} rows=${form.rows} onRows=${set("rows")} problem=${problem} />`}
      ${form.level === "json" && html`<${Area} label="Scope as JSON" name="scope" value=${form.json} onValue=${set("json")} problem=${problem} rows=${12} />`}
      ${subscription && html`<p class="fine">What waits because of this subscription alone, and is not in it any more, is cancelled.</p>`}`}
    <//>
  <//>`;
}

// A tenant and its departments in each row.
function Departments({ rows, onRows, problem }) {
  const change = (index, place, value) => onRows(rows.map((row, at) => (at === index ? row.with(place, value) : row)));
  return html`<${Field} label="Tenants and their departments" name="scope" problem=${problem} wide hint="departments are separated by commas">${(id, told) => html`
    <div class="pairs" role="group" ...${told}>
      ${rows.map(([tenant, names], index) => html`<div key=${index}>
        <input id=${index === 0 ? id : undefined} aria-label="Tenant ${index + 1}" placeholder="tenant" value=${tenant} onInput=${(event) => change(index, 0, event.target.value)} autocomplete="off" />
        <input class="long" aria-label="Departments of tenant ${index + 1}" placeholder="100, 200, 300" value=${names} onInput=${(event) => change(index, 1, event.target.value)} autocomplete="off" />
        <button type="button" class="small" aria-label="Remove tenant ${index + 1}" disabled=${rows.length === 1} onClick=${() => onRows(rows.filter((_, at) => at !== index))}>Remove</button>
      </div>`)}
      <button type="button" class="small" onClick=${() => onRows([...rows, NO_ROW])}>Another tenant</button>
    </div>`}
  <//>`;
}

const late = ({ status }) => status === 412 && html`<div class="notice bad" role="alert" tabindex="-1">
  <strong>This was not saved: someone else changed the subscription meanwhile</strong>
  <p>Close this form, check the current version, and change it again.</p>
</div>`;

// Names that fields cannot show, and more rows than anybody reads, are shown as JSON.
const ROWS_MAX = 100;

export function formOf(subscription, endpointId) {
  const scope = subscription?.scope ?? { level: "topic" };
  const rows = Object.entries(scope.departments ?? {});
  const plain = writable([...(scope.tenants ?? []), ...rows.flatMap(([tenant, names]) => [tenant, ...names])]) && rows.length <= ROWS_MAX;
  return {
    endpoint_id: endpointId ?? "",
    uid: "",
    topic: subscription?.topic ?? "",
    level: plain ? scope.level : "json",
    tenants: listed(scope.tenants ?? []),
    rows: rows.length > 0 ? rows.map(([tenant, names]) => [tenant, names.join(", ")]) : [NO_ROW],
    json: JSON.stringify(scope, null, 2),
  };
}

// The scope as the API has it. What is left empty is sent so, for the service to complain about.
export function scopeOf({ level, tenants, rows, json }) {
  if (level === "topic") return { level };
  if (level === "tenants") return { level, tenants: namesOf(tenants) };
  if (level === "json") return parsed(json);
  const named = rows.filter(([tenant, names]) => tenant.trim() !== "" || names.trim() !== "").map(([tenant, names]) => [tenant.trim(), namesOf(names)]);
  const twice = named.find(([tenant], index) => named.findIndex(([other]) => other === tenant) !== index);
  if (twice) throw wrong(`names the tenant ${twice[0]} twice`);
  return { level, departments: Object.fromEntries(named) };
}

function parsed(json) {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw wrong(`is no JSON: ${error.message}`);
  }
}

const wrong = (message) => new Problem(0, { code: "not_read", title: "This was not sent", errors: [{ field: "scope", message }] });
