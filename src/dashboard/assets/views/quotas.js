// Quotas of a customer: how much it may have, and has; an admin changes those of its own.
import { Problem, call, path } from "../core/api.js";
import fields from "../core/fields.js";
import { bytes, count } from "../core/format.js";
import { useLive } from "../core/live.js";
import { html, useState } from "../core/ui.js";
import { SIZE, WHOLE } from "../core/units.js";
import { announce } from "../parts/announce.js";
import { Dialog } from "../parts/dialog.js";
import { Text } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { Loaded } from "../parts/notice.js";
import { Table } from "../parts/table.js";

// Names of quotas, as the API has them; of a newer service's quota its own.
const titled = (name) => fields.customer[`quotas.${name}`]?.title ?? name;
const isSize = (name) => name.includes("bytes");
const show = (name) => (isSize(name) ? bytes : count);
const unit = (name) => (isSize(name) ? SIZE : WHOLE);

export function Quotas({ customer, admin, onClose, onDone }) {
  const live = useLive(path("customers", customer.id, "quotas"), null, 10_000);
  const [changing, setChanging] = useState(false);
  return html`<${Dialog} wide title="Quotas of ${customer.name}" onClose=${onClose}>
    <${Loaded} live=${live} what="the quotas">${({ quotas }) => (changing
      ? html`<${QuotaForm} customer=${customer} quotas=${quotas} onClose=${() => setChanging(false)} onDone=${() => { live.reload(); onDone(); }} />`
      : html`<${Table} caption="Quotas of ${customer.name}" rows=${Object.entries(quotas)} rowKey=${([name]) => name} columns=${COLUMNS} />
        <p class="fine">Beyond these, settings and replays are refused, and the endpoints that fill backlogs or dead letters are suspended.</p>
        <div class="buttons end">
          ${admin && html`<button onClick=${() => setChanging(true)}>Change</button>`}
          <button class="primary" onClick=${onClose}>Close</button>
        </div>`)}
    <//>
  <//>`;
}

const COLUMNS = [
  { title: "Quota", wide: true, cell: ([name]) => titled(name) },
  { title: "Used", number: true, cell: ([name, { used, limit }]) => html`<span class=${used >= limit ? "bad" : ""}>${show(name)(used)}</span>` },
  { title: "At most", number: true, cell: ([name, { limit }]) => show(name)(limit) },
  { title: "From", cell: ([, { own }]) => (own ? "this customer" : "the configuration") },
];

function QuotaForm({ customer, quotas, onClose, onDone }) {
  const [form, setForm] = useState(() => Object.fromEntries(Object.entries(quotas).map(([name, { own, limit }]) => [name, own ? unit(name).write(limit) : ""])));
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const submit = async () => {
    await call("PATCH", path("customers", customer.id), { body: { quotas: bodyOf(form) } });
    announce(`The quotas of ${customer.name} are changed`);
    onDone();
    onClose();
  };
  return html`<${Form} label="Save" onCancel=${onClose} onSubmit=${submit}>${(problem) => html`<div class="fields">
    ${Object.entries(quotas).map(([name, { own, limit }]) => html`<${Text} key=${name} label=${titled(name)} name="quotas.${name}" value=${form[name]} onValue=${set(name)} problem=${problem}
      placeholder=${own ? "as configured" : unit(name).write(limit)} />`)}
  </div><p class="fine">Left empty, a quota is as the configuration says.</p>`}<//>`;
}

// Null is as configured.
function bodyOf(form) {
  const [body, errors] = [{}, []];
  for (const [name, text] of Object.entries(form)) {
    try {
      body[name] = text.trim() === "" ? null : unit(name).read(text);
    } catch ({ message }) {
      errors.push({ field: `quotas.${name}`, message });
    }
  }
  if (errors.length > 0) throw new Problem(0, { code: "not_read", title: "This was not sent", errors });
  return body;
}
