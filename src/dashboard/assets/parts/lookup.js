// A field for a name that the service knows: what is typed is looked for, and what is found is offered. Nothing is asked
// before somebody comes to the field.
import { path } from "../core/api.js";
import { useLive } from "../core/live.js";
import { seesAll } from "../core/session.js";
import { html, useEffect, useId, useState } from "../core/ui.js";
import { Text } from "./field.js";

const OFFERED = 20;

function Offered({ options, ...field }) {
  const id = useId();
  return html`<${Text} ...${field} list=${id} />
    <datalist id=${id}>${options.map(({ value, label }) => html`<option key=${value} value=${value}>${label}</option>`)}</datalist>`;
}

// By its key or id; the service looks for parts of either, and of addresses.
export function EndpointField(field) {
  const [near, setNear] = useState(false);
  const [asked, setAsked] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setAsked(field.value), 250);
    return () => clearTimeout(timer);
  }, [field.value]);
  const { data } = useLive(near ? "endpoints" : null, { q: asked, limit: OFFERED }, 0);
  const options = (data?.data ?? []).map(({ id, uid, url }) => ({ value: uid ?? id, label: url }));
  return html`<${Offered} label="Endpoint" hint="its id or your key for it; type to search" ...${field} options=${options} onFocus=${() => setNear(true)} />`;
}

export function CustomerField(field) {
  const [near, setNear] = useState(false);
  const { data } = useLive(near ? "customers" : null, { limit: 250 }, 0);
  const options = (data?.data ?? []).map(({ id, uid, name }) => ({ value: uid ?? id, label: name }));
  return html`<${Offered} label="Customer" hint="its id or your key for it" ...${field} options=${options} onFocus=${() => setNear(true)} />`;
}

// Topics that are read, or those that the customer is granted.
export function TopicField({ who, ...field }) {
  const [near, setNear] = useState(false);
  const all = useLive(near && seesAll(who) ? "overview" : null, null, 0);
  const own = useLive(!near || seesAll(who) ? null : path("customers", who.customer), null, 0);
  const names = seesAll(who) ? (all.data?.topics ?? []).map(({ topic }) => topic) : (own.data?.grants.topics ?? []).filter((name) => name !== "*");
  return html`<${Offered} label="Topic" ...${field} options=${names.map((value) => ({ value, label: "" }))} onFocus=${() => setNear(true)} />`;
}
