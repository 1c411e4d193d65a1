// A customer: its name, and what it may subscribe to.
import { Problem, call, path } from "../core/api.js";
import { listed, namesOf, writable } from "../core/names.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Dialog } from "../parts/dialog.js";
import { Area, Choice, Group, Text } from "../parts/field.js";
import { Form } from "../parts/form.js";

const SHARES = [["all", "all of them"], ["some", "only these"], ["none", "none"]];

// `customer`: the one to change; without one it is new.
export function CustomerForm({ customer, onClose, onDone }) {
  const [form, setForm] = useState(() => formOf(customer));
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const submit = async () => {
    const body = { name: form.name, grants: { topics: grantOf(form, "topics", customer), tenants: grantOf(form, "tenants", customer) } };
    if (customer) await call("PATCH", path("customers", customer.id), { body, match: `"v${customer.version}"` });
    else await call("POST", "customers", { body: form.uid ? { ...body, uid: form.uid } : body });
    announce(customer ? `${form.name} is changed; it takes effect within seconds` : `${form.name} is a customer`);
    onDone();
    onClose();
  };
  return html`<${Dialog} wide title=${customer ? `Change ${customer.name}` : "New customer"} onClose=${onClose}>
    <${Form} label=${customer ? "Save" : "Create"} onCancel=${onClose} onSubmit=${submit} notice=${late}>${(problem) => html`
      <div class="fields">
        <${Text} label="Name" name="name" value=${form.name} onValue=${set("name")} problem=${problem} />
        ${!customer && html`<${Text} label="uid" name="uid" value=${form.uid} onValue=${set("uid")} problem=${problem} hint="your own key for it; optional" />`}
      </div>
      <${Grant} of="topics" title="Topics it may subscribe to" form=${form} set=${set} problem=${problem} />
      <${Grant} of="tenants" title="Tenants whose events it may see" form=${form} set=${set} problem=${problem} />
      ${customer && html`<p class="fine">What is taken away here is taken away at once: subscriptions beyond the grants deliver nothing more, and what waits for them is cancelled.</p>`}`}
    <//>
  <//>`;
}

function Grant({ of, title, form, set, problem }) {
  const share = form[`${of}.share`];
  const names = form[of];
  return html`<${Group} title=${title}>
    <${Choice} label=${`Which ${of}`} name=${share === "some" ? undefined : `grants.${of}`} value=${share} onValue=${set(`${of}.share`)} options=${SHARES} problem=${problem} />
    ${share === "some" && html`<${Area} label=${`Their names (${namesOf(names).length})`} name="grants.${of}" value=${names} onValue=${set(of)} problem=${problem} rows=${4} hint="one a line, or separated by commas" />`}
  <//>`;
}

const late = ({ status }) => status === 412 && html`<div class="notice bad" role="alert" tabindex="-1">
  <strong>This was not saved: someone else changed the customer meanwhile</strong>
  <p>Close this form, check the current version, and change it again.</p>
</div>`;

function formOf(customer) {
  const grants = customer?.grants ?? { topics: [], tenants: [] };
  const share = (names) => (names.length === 0 ? (customer ? "none" : "some") : names[0] === "*" ? "all" : "some");
  const written = (names) => (names[0] === "*" ? "" : listed(names));
  return {
    name: customer?.name ?? "", uid: "",
    topics: written(grants.topics), "topics.share": share(grants.topics),
    tenants: written(grants.tenants), "tenants.share": share(grants.tenants),
  };
}

// Names that the field could not show are left as they are, unless it was written in.
function grantOf(form, of, customer) {
  const share = form[`${of}.share`];
  if (share !== "some") return share === "all" ? ["*"] : [];
  const before = customer?.grants[of] ?? [];
  if (!writable(before) && form[of] === listed(before)) return before;
  const names = namesOf(form[of]);
  if (names.length > 0) return names;
  throw new Problem(0, { code: "not_read", title: "This was not sent", errors: [{ field: `grants.${of}`, message: "must have a name; or choose all, or none" }] });
}
