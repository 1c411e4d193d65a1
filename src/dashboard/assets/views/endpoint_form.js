// A new endpoint, with what it takes at least; and the settings of one, as JSON.
import { call, path } from "../core/api.js";
import { go } from "../core/route.js";
import { seesAll } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { SecretOnce } from "../parts/copy.js";
import { Dialog } from "../parts/dialog.js";
import { Choice, Field, Text } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";

export function NewEndpoint({ who, onClose, customer }) {
  const [form, setForm] = useState({ customer_id: customer ?? who.customer ?? "", uid: "", url: "", mode: "stream" });
  const [problem, setProblem] = useState(null);
  const [made, setMade] = useState(null);
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { uid, ...body } = form;
      setMade(await call("POST", "endpoints", { body: uid ? { ...body, uid } : body }));
    } catch (failed) {
      setProblem(failed);
    }
  };
  if (made) {
    const close = () => {
      onClose();
      go(["endpoints", made.id]);
    };
    return html`<${SecretOnce} title="The signing secret of ${made.uid ?? made.id}" secret=${made.secret} onClose=${close}>
      <p>Its receiver verifies signatures with it. Subscribe the endpoint next: until then it receives nothing.</p>
    <//>`;
  }
  return html`<${Dialog} title="New endpoint" onClose=${onClose}>
    <form onSubmit=${submit}>
      ${seesAll(who) && html`<${Text} label="Customer" name="customer_id" value=${form.customer_id} onValue=${set("customer_id")} problem=${problem} hint="its id or key" required />`}
      <${Text} label="Key of your own" name="uid" value=${form.uid} onValue=${set("uid")} problem=${problem} hint="may be left out; the API takes it wherever it takes an id" />
      <${Text} label="Address" name="url" type="url" value=${form.url} onValue=${set("url")} problem=${problem} placeholder="https://" required />
      <${Choice} label="Mode" name="mode" value=${form.mode} onValue=${set("mode")} problem=${problem} options=${[["stream", "stream: a request for each event"], ["batch", "batch: many events in a request"]]} />
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end"><button type="button" onClick=${onClose}>Cancel</button><button class="primary">Create</button></div>
    </form>
  <//>`;
}

// Not for writing: the service says these.
const READ_ONLY = ["id", "uid", "customer_id", "state", "state_reason", "version", "created_at", "updated_at", "health"];

export function EditEndpoint({ endpoint, onClose, onDone }) {
  const before = Object.fromEntries(Object.entries(endpoint).filter(([name]) => !READ_ONLY.includes(name)));
  const [text, setText] = useState(JSON.stringify(before, null, 2));
  const [problem, setProblem] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await call("PATCH", path("endpoints", endpoint.id), { body: changes(before, JSON.parse(text)), match: `"${endpoint.version}"` });
      announce(`${endpoint.uid ?? endpoint.id} is changed; it takes effect within seconds`);
      onDone();
      onClose();
    } catch (failed) {
      setProblem(failed instanceof SyntaxError ? { title: "This is not JSON", detail: failed.message } : failed);
    }
  };
  return html`<${Dialog} wide title="Settings of ${endpoint.uid ?? endpoint.id}" onClose=${onClose}>
    <form onSubmit=${submit}>
      <p class="fine">As the API has them. Secrets are not shown; to set another authentication, write all of <code>auth</code>.
        <code>null</code> takes a setting back to its default.</p>
      <${Field} label="Settings">${(id) => html`<textarea id=${id} rows="22" spellcheck="false" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>`}<//>
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end"><button type="button" onClick=${onClose}>Cancel</button><button class="primary">Save</button></div>
    </form>
  <//>`;
}

// What was changed, and null for what was taken out. `auth` is left alone unless it was written anew: what is shown of it
// lacks its secrets.
export function changes(before, after) {
  const changed = Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  const gone = Object.keys(before).filter((name) => !(name in after));
  return { ...Object.fromEntries(changed), ...Object.fromEntries(gone.map((name) => [name, null])) };
}
