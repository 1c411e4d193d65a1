// The form of an endpoint: a new one, or the settings of one that is there. By fields, or as the JSON of the API.
import { Problem, call, path } from "../core/api.js";
import { go } from "../core/route.js";
import { seesAll } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { saved } from "../core/unsaved.js";
import { announce } from "../parts/announce.js";
import { Conflict, conflicts } from "../parts/conflict.js";
import { SecretOnce } from "../parts/copy.js";
import { Area, Group, Text } from "../parts/field.js";
import { Form } from "../parts/form.js";
import { CustomerField } from "../parts/lookup.js";
import { AuthGroup } from "./endpoint_auth.js";
import { BreakerGroup, PaceGroup, RetryGroup, SendingGroup } from "./endpoint_groups.js";
import { bodyOf, changes, formOf, said } from "./endpoint_fields.js";

export function NewEndpoint({ who, customer, onClose }) {
  const start = () => formOf({ customer_id: customer ?? "" }, true);
  const [form, setForm] = useState(start);
  const [json, setJson] = useState(null);
  const [made, setMade] = useState(null);
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const whole = () => ({ ...written(form, json), ...(json === null ? { customer_id: form.customer_id, uid: form.uid } : {}) });
  const submit = async () => setMade(await call("POST", "endpoints", { body: without(whole()) }));
  const leave = () => go(["endpoints", made.id, "subscriptions"]);
  return html`
    <p class="lead">Its signing secret is shown once it is made. What is left empty takes the default that stands in the field.</p>
    <${Ways} json=${json} onJson=${(on) => setJson(on ? pretty(without({ customer_id: form.customer_id, uid: form.uid, ...bodyOf(form).body })) : null)}
      onFields=${(settings) => setForm(formOf(settings, true))} />
    <${Form} className="page-form" label="Create the endpoint" onCancel=${onClose} onSubmit=${submit}>${(problem) => json !== null
      ? html`<${Json} json=${json} onJson=${setJson} />`
      : html`
        <${Group} title="Where its events go">
          <${Text} label="Address" name="url" type="url" value=${form.url} onValue=${set("url")} problem=${problem} wide placeholder="https://" hint="http or https; what it answers with 2xx is delivered" />
          ${seesAll(who) && html`<${CustomerField} name="customer_id" value=${form.customer_id} onValue=${set("customer_id")} problem=${problem} />`}
          <${Text} label="uid" name="uid" value=${form.uid} onValue=${set("uid")} problem=${problem} hint="may be left out; the API takes it wherever it takes an id" />
          <${Text} label="Description" name="description" value=${form.description} onValue=${set("description")} problem=${problem} wide />
        <//>
        <${Settings} form=${form} set=${set} problem=${problem} made />`}
    <//>
    ${made && html`<${SecretOnce} title="The signing secret of ${made.uid ?? made.id}" secret=${made.secret} onClose=${leave}>
      <p>Its receiver verifies signatures with it. Subscribe the endpoint next: until then it receives nothing.</p>
    <//>`}`;
}

// `endpoint` as it is now; what is written is written only to the version that the form began with.
export function EditEndpoint({ endpoint, reload, onDone, onClose }) {
  const [base, setBase] = useState(endpoint);
  const [form, setForm] = useState(() => formOf(endpoint, false));
  const [json, setJson] = useState(null);
  const set = (name) => (value) => setForm((before) => ({ ...before, [name]: value }));
  const name = endpoint.uid ?? endpoint.id;
  const of = (settings) => bodyOf(formOf(settings, false)).body;
  const save = async (at) => {
    const patch = changes(of(base), written(form, json));
    if (Object.keys(patch).length > 0) {
      await call("PATCH", path("endpoints", endpoint.id), { body: patch, match: `"v${at.version}"` });
      announce(`${name} is changed; it takes effect within seconds`);
    } else {
      announce(`Nothing was changed in ${name}`);
    }
    saved();
    onDone();
  };
  const restart = () => {
    setBase(endpoint);
    setForm(formOf(endpoint, false));
    setJson(null);
  };
  return html`
    <p class="lead">Empty fields take their defaults. Secrets are never shown: an authentication is replaced, or stays as it is.</p>
    <${Conflict} what=${name} mine=${base} theirs=${endpoint} names=${Object.keys(changes(of(base), of(endpoint)))}
      changed=${() => Object.keys(changes(of(base), attempt(() => written(form, json)) ?? {}))} onTheirs=${restart} onMine=${() => save(endpoint)} />
    <${Ways} json=${json} onJson=${(on) => setJson(on ? pretty(bodyOf(form).body) : null)} onFields=${(settings) => setForm(formOf({ auth: base.auth, ...settings }, settings.auth !== undefined))} />
    <${Form} key=${base.version} className="page-form" label="Save" onCancel=${onClose} onSubmit=${() => save(base)} notice=${conflicts(name, reload)}>${(problem) => json !== null
      ? html`<${Json} json=${json} onJson=${setJson} />`
      : html`
        <${Group} title="Where its events go">
          <${Text} label="Address" name="url" type="url" value=${form.url} onValue=${set("url")} problem=${problem} wide />
          <${Text} label="Description" name="description" value=${form.description} onValue=${set("description")} problem=${problem} wide />
        <//>
        <${Settings} form=${form} set=${set} problem=${problem} />`}
    <//>`;
}

const Settings = (parts) => html`<${SendingGroup} ...${parts} /><${PaceGroup} ...${parts} /><${AuthGroup} ...${parts} />
  <${RetryGroup} ...${parts} /><${BreakerGroup} ...${parts} />`;

const Json = ({ json, onJson }) => html`<${Area} label="Settings as JSON" rows=${26} value=${json} onValue=${onJson}
  hint="As the API has them; null resets a setting to its default. To replace the authentication, write all of auth." />`;

// Fields or JSON, whichever one likes better; what is written in the one is there in the other.
function Ways({ json, onJson, onFields }) {
  const [wrong, setWrong] = useState(null);
  const toFields = () => {
    try {
      onFields(JSON.parse(json));
      onJson(false);
      setWrong(null);
    } catch (error) {
      setWrong(`This is no JSON that fields can show: ${error.message}`);
    }
  };
  return html`<div class="ways" role="group" aria-label="How to write the settings">
    <button type="button" aria-pressed=${json === null} onClick=${() => json !== null && toFields()}>Fields</button>
    <button type="button" aria-pressed=${json !== null} onClick=${() => json === null && onJson(true)}>JSON</button>
    ${wrong && html`<span class="wrong" role="alert">${wrong}</span>`}
  </div>`;
}

// What was written, whichever way; throws what is wrong with it before the service has to.
function written(form, json) {
  if (json !== null) {
    try {
      return JSON.parse(json);
    } catch (error) {
      throw new Problem(0, { code: "not_json", title: "This is not JSON", detail: error.message });
    }
  }
  const { body, errors } = bodyOf(form);
  if (errors.length > 0) throw new Problem(0, { code: "not_read", title: "This was not sent", detail: "Some fields cannot be read.", errors });
  return body;
}

const attempt = (of) => {
  try {
    return of();
  } catch {
    return null;
  }
};

const pretty = (value) => JSON.stringify(value, null, 2);
const without = (body) => said(Object.fromEntries(Object.entries(body).filter(([, value]) => value !== "")));
