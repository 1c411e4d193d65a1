// A new subscription.
import { call } from "../core/api.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { Dialog } from "../parts/dialog.js";
import { Choice, Text } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";

const LEVELS = [["topic", "the whole topic"], ["tenants", "some tenants"], ["departments", "departments of tenants"]];

export function NewSubscription({ endpointId, onClose, onDone }) {
  const [form, setForm] = useState({ endpoint_id: endpointId ?? "", topic: "", level: "topic", tenants: "", departments: "" });
  const [problem, setProblem] = useState(null);
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await call("POST", "subscriptions", { body: { endpoint_id: form.endpoint_id, topic: form.topic, scope: scopeOf(form) } });
      announce("Subscribed; it takes effect within seconds, for events from now on");
      onDone();
      onClose();
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`<${Dialog} title="New subscription" onClose=${onClose}>
    <form onSubmit=${submit}>
      ${!endpointId && html`<${Text} label="Endpoint" name="endpoint_id" value=${form.endpoint_id} onValue=${set("endpoint_id")} problem=${problem} hint="its id or key" required />`}
      <${Text} label="Topic" name="topic" value=${form.topic} onValue=${set("topic")} problem=${problem} required />
      <${Choice} label="What of it" name="scope.level" value=${form.level} onValue=${set("level")} options=${LEVELS} problem=${problem} />
      ${form.level === "tenants" && html`<${Text} label="Tenants" name="scope.tenants" value=${form.tenants} onValue=${set("tenants")} problem=${problem} hint="separated by commas" />`}
      ${form.level === "departments" && html`<${Text} label="Departments" name="scope.departments" value=${form.departments} onValue=${set("departments")} problem=${problem}
        hint="a tenant and its departments: 2: 100, 200; 3: 100" />`}
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end"><button type="button" onClick=${onClose}>Cancel</button><button class="primary">Subscribe</button></div>
    </form>
  <//>`;
}

const list = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

// The scope as the API has it. What is left empty is sent so, for the service to complain about.
export function scopeOf({ level, tenants, departments }) {
  if (level === "topic") return { level };
  if (level === "tenants") return { level, tenants: list(tenants) };
  const pairs = departments.split(";").filter((part) => part.trim() !== "");
  return { level, departments: Object.fromEntries(pairs.map((part) => [part.split(":")[0].trim(), list(part.split(":").slice(1).join(":"))])) };
}
