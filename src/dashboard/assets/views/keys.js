// The keys to the API: made, changed, rotated, revoked. A token is shown once.
import { call, path, post } from "../core/api.js";
import { useLive } from "../core/live.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { CustomerName } from "../parts/customer.js";
import { SecretOnce } from "../parts/copy.js";
import { Confirm } from "../parts/dialog.js";
import { Loaded } from "../parts/notice.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At } from "../parts/time.js";
import { KeyForm, Overlap } from "./key_form.js";

export function Keys({ who }) {
  const [trail, setTrail] = useState([]);
  const [open, setOpen] = useState({});
  const [overlap, setOverlap] = useState("86400000");
  const live = useLive("api-keys", { include: "customer", limit: 50, cursor: cursorOf(trail) }, 10_000);
  const admin = who.role === "admin";
  const close = () => setOpen({});
  const { form, rotating, ending, made } = open;
  return html`<section>
    <div class="title"><h2>API keys</h2>${admin
      ? html`<div class="buttons"><button onClick=${() => setOpen({ form: {} })}>New key</button></div>`
      : html`<span class="dim">only an admin's key creates and revokes keys</span>`}</div>
    <${Loaded} live=${live} what="the list of keys">${({ data, next_cursor: next }) => html`
      <${Table} caption="API keys" rows=${data} rowKey=${({ id }) => id} columns=${columns(admin && setOpen, who.id)} empty="There is no key but the one of the configuration." />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="keys" />`}
    <//>
    ${form && html`<${KeyForm} ...${form} onClose=${close} onDone=${(key) => { live.reload(); setOpen(key.token ? { made: key } : {}); }} />`}
    ${made && html`<${SecretOnce} title="The key ${made.name}" secret=${made.token} onClose=${close} />`}
    ${rotating && html`<${Confirm} title="Rotate the key ${rotating.name}?" label="Rotate" onClose=${close}
      action=${() => post(`${path("api-keys", rotating.id)}/rotate`, { overlap_ms: Number(overlap) })} onDone=${(key) => { live.reload(); setOpen({ made: key }); }}>
      <p>It gets another token, which is shown once. Its role and its customer stay.</p>
      <${Overlap} value=${overlap} onValue=${setOverlap} /><//>`}
    ${ending && html`<${Confirm} danger title="Revoke the key ${ending.name}?" label="Revoke" onClose=${close}
      action=${() => call("DELETE", path("api-keys", ending.id))} onDone=${() => { announce(`The key ${ending.name} is revoked`); live.reload(); }}>
      <p>Whoever uses it is refused within seconds, for good.</p><//>`}
  </section>`;
}

const columns = (setOpen, own) => [
  { title: "Key", cell: ({ id, name, token_start: start }) => html`${name}${id === own && html` <span class="chip">yours</span>`}<small><code>${start}…</code></small>` },
  { title: "Role", cell: ({ role }) => role },
  { title: "Customer", cell: ({ customer_id: id, customer }) => (id ? html`<${CustomerName} id=${id} customer=${customer} />` : html`<span class="dim">all</span>`) },
  { title: "Last used", cell: ({ last_used_at: at }) => html`<${At} at=${at} none="never" />` },
  { title: "Ends", cell: ({ expires_at: at, previous_expires_at: before }) => html`${ends(at)}${before && new Date(before) > new Date() && html`<small>its previous token: <${At} at=${before} /></small>`}` },
  { title: "Created", cell: ({ created_at: at }) => html`<${At} at=${at} />` },
  ...(setOpen ? [{ title: html`<span class="unseen">Actions</span>`, number: true, cell: (key) => html`<span class="row-actions">
    <button class="small" onClick=${() => setOpen({ form: { of: key } })} aria-label="Change ${key.name}">Change</button>
    <button class="small" onClick=${() => setOpen({ rotating: key })} aria-label="Rotate ${key.name}">Rotate</button>
    <button class="small" onClick=${() => setOpen({ ending: key })} aria-label="Revoke ${key.name}">Revoke</button></span>` }] : []),
];

const ends = (at) => (at && new Date(at) < new Date() ? html`<span class="bad">ended <${At} at=${at} /></span>` : html`<${At} at=${at} none="never" />`);
