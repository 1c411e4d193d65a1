// The form of an API key: a new one, or the name and the end of one that is there.
import { call, path, post } from "../core/api.js";
import fields from "../core/fields.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Dialog } from "../parts/dialog.js";
import { Choice, Text } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { CustomerField } from "../parts/lookup.js";

// The one that is wanted most comes first.
const ROLES = fields.api_key.role.words.map(([word, about]) => [word, `${word}: ${about.replace(/\.$/, "").toLowerCase()}`]).reverse();
const DAYS = [["", "never"], ["30", "in 30 days"], ["90", "in 90 days"], ["365", "in a year"], ["at", "at a time …"]];
const OVERLAPS = [["0", "at once"], ["3600000", "in an hour"], ["86400000", "in a day"], ["604800000", "in a week"]];

export const Overlap = ({ value, onValue }) => html`<${Choice} label="The previous token ends" value=${value} onValue=${onValue} options=${OVERLAPS} hint="time for its holder to change over" />`;

// `of`: the key to change.
export function KeyForm({ of, onClose, onDone }) {
  const [form, setForm] = useState({ name: of?.name ?? "", role: "customer", customer_id: "", ends: of?.expires_at ? "at" : "", at: of?.expires_at ? local(of.expires_at) : "" });
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const submit = async () => {
    const { name, role, customer_id } = form;
    const expires_at = endOf(form, of);
    if (of) {
      const key = await call("PATCH", path("api-keys", of.id), { body: { name, expires_at } });
      announce(`The key ${name} is changed`);
      return onDone(key);
    }
    return onDone(await post("api-keys", { name, role, ...(role === "customer" ? { customer_id } : {}), ...(expires_at ? { expires_at } : {}) }));
  };
  return html`<${Dialog} title=${of ? `Change the key ${of.name}` : "New API key"} onClose=${onClose}>
    <${Form} label=${of ? "Save" : "Create"} onCancel=${onClose} onSubmit=${submit}>${(problem) => html`
      <${Text} label="Name" name="name" value=${form.name} onValue=${set("name")} problem=${problem} hint="its owner and purpose" />
      ${!of && html`<${Choice} label="Role" name="role" value=${form.role} onValue=${set("role")} options=${ROLES} problem=${problem} hint="cannot be changed later" />`}
      ${!of && form.role === "customer" && html`<${CustomerField} name="customer_id" value=${form.customer_id} onValue=${set("customer_id")} problem=${problem} />`}
      <${Choice} label="It ends" name=${form.ends === "at" ? undefined : "expires_at"} value=${form.ends} onValue=${set("ends")} options=${DAYS} problem=${problem} />
      ${form.ends === "at" && html`<${Text} label="At" name="expires_at" type="datetime-local" value=${form.at} onValue=${set("at")} problem=${problem} hint="in this browser's time" />`}`}
    <//>
  <//>`;
}

// A time as the field for it has it, which knows no zone.
export function local(at) {
  const moment = new Date(at);
  return new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function endOf({ ends, at }, of) {
  if (ends === "") return null;
  // The field has no seconds: a time that was not touched stays as it is.
  if (ends === "at" && of?.expires_at && at === local(of.expires_at)) return of.expires_at;
  const moment = ends === "at" ? new Date(at) : new Date(Date.now() + Number(ends) * 86_400_000);
  return Number.isNaN(moment.getTime()) ? at : moment.toISOString();
}
