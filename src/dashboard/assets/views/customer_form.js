// A new customer: a name, and what it may subscribe to.
import { call } from "../core/api.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Dialog } from "../parts/dialog.js";
import { Text } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";

export function NewCustomer({ onClose, onDone }) {
  const [form, setForm] = useState({ name: "", uid: "", topics: "", tenants: "" });
  const [problem, setProblem] = useState(null);
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const body = { name: form.name, grants: { topics: names(form.topics), tenants: names(form.tenants) } };
      await call("POST", "customers", { body: form.uid ? { ...body, uid: form.uid } : body });
      announce(`${form.name} is a customer`);
      onDone();
      onClose();
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`<${Dialog} title="New customer" onClose=${onClose}>
    <form onSubmit=${submit}>
      <${Text} label="Name" name="name" value=${form.name} onValue=${set("name")} problem=${problem} required />
      <${Text} label="Key of your own" name="uid" value=${form.uid} onValue=${set("uid")} problem=${problem} hint="may be left out" />
      <${Text} label="Topics it may subscribe to" name="grants.topics" value=${form.topics} onValue=${set("topics")} problem=${problem} hint="separated by commas; * is all of them" />
      <${Text} label="Tenants it may see" name="grants.tenants" value=${form.tenants} onValue=${set("tenants")} problem=${problem} hint="separated by commas; * is all of them" />
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end"><button type="button" onClick=${onClose}>Cancel</button><button class="primary">Create</button></div>
    </form>
  <//>`;
}
