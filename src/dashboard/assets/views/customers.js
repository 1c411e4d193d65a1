// Customers with what they are granted, and the keys to the API.
import { call, path } from "../core/api.js";
import { count } from "../core/format.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Confirm } from "../parts/dialog.js";
import { Loaded } from "../parts/notice.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At } from "../parts/time.js";
import { Title } from "../parts/title.js";
import { CustomerForm } from "./customer_form.js";
import { Keys } from "./keys.js";
import { Quotas } from "./quotas.js";

export function Customers({ who }) {
  const [trail, setTrail] = useState([]);
  const [form, setForm] = useState(null);
  const [leaving, setLeaving] = useState(null);
  const [quotas, setQuotas] = useState(null);
  const live = useLive("customers", { limit: 50, cursor: cursorOf(trail) }, 10_000);
  const admin = who.role === "admin";
  return html`
    <${Title} live=${live} actions=${admin && html`<button class="primary" onClick=${() => setForm({})}>New customer</button>`}>Customers<//>
    <${Loaded} live=${live} what="the customers">${({ data, next_cursor: next }) => html`
      <${Table} caption="Customers" rows=${data} rowKey=${({ id }) => id} empty="There are no customers yet."
        columns=${columns(setQuotas, admin && { onChange: (customer) => setForm({ customer }), onDelete: setLeaving })} />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="customers" />`}
    <//>
    <${Keys} who=${who} />
    ${form && html`<${CustomerForm} ...${form} onClose=${() => setForm(null)} onDone=${live.reload} />`}
    ${quotas && html`<${Quotas} customer=${quotas} admin=${admin} onClose=${() => setQuotas(null)} onDone=${live.reload} />`}
    ${leaving && html`<${Confirm} danger phrase=${leaving.uid ?? leaving.id} title="Delete ${leaving.name}?" label="Delete" onClose=${() => setLeaving(null)}
      action=${() => call("DELETE", path("customers", leaving.id))} onDone=${() => { announce(`${leaving.name} is deleted`); live.reload(); }}>
      <p>Its endpoints, its subscriptions and its keys go with it, and what waits for it is cancelled.</p><//>`}`;
}

function granted(names = []) {
  if (names.length === 0) return html`<span class="dim">none</span>`;
  if (names[0] === "*") return "all";
  return names.length > 6 ? `${names.slice(0, 6).join(", ")} and ${count(names.length - 6)} more` : names.join(", ");
}

const columns = (onQuotas, may) => [
  { title: "Customer", wide: true, cell: ({ id, uid, name }) => html`<a class="name" href=${to(["endpoints"], { customer: id })}>${name}</a><small>${uid ?? ""}</small>` },
  { title: "Id", cell: ({ id }) => html`<code class="dim">${id}</code>` },
  { title: "Topics", cell: ({ grants }) => granted(grants?.topics) },
  { title: "Tenants", cell: ({ grants }) => granted(grants?.tenants) },
  { title: "Changed", cell: ({ updated_at: at }) => html`<${At} at=${at} />` },
  { title: html`<span class="unseen">Actions</span>`, number: true, cell: (customer) => html`<span class="row-actions">
    <button class="small" onClick=${() => onQuotas(customer)} aria-label="Quotas of ${customer.name}">Quotas</button>
    ${may && html`<button class="small" onClick=${() => may.onChange(customer)} aria-label="Change ${customer.name}">Change</button>
    <button class="small" onClick=${() => may.onDelete(customer)} aria-label="Delete ${customer.name}">Delete</button>`}</span>` },
];
