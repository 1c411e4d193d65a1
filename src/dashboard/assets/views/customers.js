// Customers with what they are granted, and the keys to the API.
import { call, path, post } from "../core/api.js";
import { count, time } from "../core/format.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { mayWrite } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { SecretOnce } from "../parts/copy.js";
import { Confirm, Dialog } from "../parts/dialog.js";
import { Choice, Text } from "../parts/field.js";
import { Loaded, ProblemNotice } from "../parts/notice.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { Title } from "../parts/title.js";
import { NewCustomer } from "./customer_form.js";

export function Customers({ who }) {
  const [trail, setTrail] = useState([]);
  const [adding, setAdding] = useState(false);
  const live = useLive("customers", { limit: 50, cursor: cursorOf(trail) }, 10_000);
  return html`
    <${Title} live=${live} actions=${mayWrite(who) && html`<button class="primary" onClick=${() => setAdding(true)}>New customer</button>`}>Customers<//>
    <${Loaded} live=${live} what="the customers">${({ data, next_cursor: next }) => html`
      <${Table} caption="Customers" rows=${data} rowKey=${({ id }) => id} columns=${CUSTOMER} empty="There are no customers yet." />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="customers" />`}
    <//>
    <${Keys} who=${who} />
    ${adding && html`<${NewCustomer} onClose=${() => setAdding(false)} onDone=${live.reload} />`}`;
}

const granted = (names) => (names?.length === 1 && names[0] === "*" ? "all" : names?.length > 6 ? `${names.slice(0, 6).join(", ")} and ${count(names.length - 6)} more` : names?.join(", "));

const CUSTOMER = [
  { title: "Customer", wide: true, cell: ({ id, uid, name }) => html`<a class="name" href=${to(["endpoints"], { customer: id })}>${name}</a><small>${uid ?? id}</small>` },
  { title: "Id", cell: ({ id }) => html`<code class="dim">${id}</code>` },
  { title: "Topics", cell: ({ grants }) => granted(grants?.topics) },
  { title: "Tenants", cell: ({ grants }) => granted(grants?.tenants) },
  { title: "Changed", cell: ({ updated_at: at }) => time(at) },
];

function Keys({ who }) {
  const [trail, setTrail] = useState([]);
  const [adding, setAdding] = useState(false);
  const [ending, setEnding] = useState(null);
  const [made, setMade] = useState(null);
  const live = useLive("api-keys", { limit: 50, cursor: cursorOf(trail) }, 10_000);
  const admin = who.role === "admin";
  return html`<section>
    <div class="title"><h2>API keys</h2>${admin && html`<div class="buttons"><button onClick=${() => setAdding(true)}>New key</button></div>`}</div>
    <${Loaded} live=${live} what="the list of keys">${({ data, next_cursor: next }) => html`
      <${Table} caption="API keys" rows=${data} rowKey=${({ id }) => id} columns=${keyColumns(admin && setEnding)} empty="There is no key but the one of the configuration." />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="keys" />`}
    <//>
    ${adding && html`<${NewKey} onClose=${() => setAdding(false)} onDone=${(key) => { setMade(key); live.reload(); }} />`}
    ${made && html`<${SecretOnce} title="The key ${made.name}" secret=${made.token} onClose=${() => setMade(null)} />`}
    ${ending && html`<${Confirm} danger title="Revoke the key ${ending.name}?" label="Revoke" onClose=${() => setEnding(null)}
      action=${() => call("DELETE", path("api-keys", ending.id))} onDone=${() => { announce("The key is revoked"); live.reload(); }}>
      <p>Whoever uses it is refused within seconds.</p><//>`}
  </section>`;
}

const keyColumns = (onRevoke) => [
  { title: "Key", cell: ({ name, token_start: start }) => html`${name}<small><code>${start}…</code></small>` },
  { title: "Role", cell: ({ role }) => role },
  { title: "Customer", cell: ({ customer_id: id }) => html`<code class="dim">${id ?? ""}</code>` },
  { title: "Last used", cell: ({ last_used_at: at }) => (at ? time(at) : "never") },
  { title: "Ends", cell: ({ expires_at: at }) => (at ? time(at) : "never") },
  { title: "Made", cell: ({ created_at: at }) => time(at) },
  ...(onRevoke ? [{ title: html`<span class="unseen">Actions</span>`, cell: (key) => html`<button class="small" onClick=${() => onRevoke(key)} aria-label="Revoke ${key.name}">Revoke</button>` }] : []),
];

const ROLES = [["customer", "customer: its own endpoints and dead letters"], ["operator", "operator: looks at everything"], ["admin", "admin: everything"]];

function NewKey({ onClose, onDone }) {
  const [form, setForm] = useState({ name: "", role: "customer", customer_id: "" });
  const [problem, setProblem] = useState(null);
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { customer_id, ...body } = form;
      const key = await post("api-keys", form.role === "customer" ? form : body);
      onClose();
      onDone(key);
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`<${Dialog} title="New API key" onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Text} label="Name" name="name" value=${form.name} onValue=${set("name")} problem=${problem} hint="whose it is, and what for" required />
      <${Choice} label="Role" name="role" value=${form.role} onValue=${set("role")} options=${ROLES} problem=${problem} />
      ${form.role === "customer" && html`<${Text} label="Customer" name="customer_id" value=${form.customer_id} onValue=${set("customer_id")} problem=${problem} hint="its id or key" required />`}
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end"><button type="button" onClick=${onClose}>Cancel</button><button class="primary">Create</button></div>
    </form>
  <//>`;
}
