// A dry run: which endpoints would get such an event, and for one of them, why or why not.
import { post } from "../core/api.js";
import { count } from "../core/format.js";
import { to } from "../core/route.js";
import { html, useState } from "../core/ui.js";
import { Text } from "../parts/field.js";
import { EndpointField, TopicField } from "../parts/lookup.js";
import { NotAvailable, ProblemNotice } from "../parts/notice.js";
import { State } from "../parts/state.js";
import { Table } from "../parts/table.js";

export function Match({ who }) {
  const [form, setForm] = useState({ topic: "", tenant: "", department: "", endpoint_id: "" });
  const [{ answer, problem }, setResult] = useState({});
  const set = (name) => (value) => setForm({ ...form, [name]: value });
  const submit = async (event) => {
    event.preventDefault();
    const body = Object.fromEntries(Object.entries(form).filter(([, value]) => value !== ""));
    try {
      setResult({ answer: await post("match", body) });
    } catch (failed) {
      setResult({ problem: failed });
    }
  };
  return html`<section class="match">
    <h2>Which endpoints get this event?</h2>
    <form onSubmit=${submit} class="filters" novalidate>
      <${TopicField} who=${who} name="topic" value=${form.topic} onValue=${set("topic")} problem=${problem} required />
      <${Text} label="Tenant" name="tenant" value=${form.tenant} onValue=${set("tenant")} problem=${problem} />
      <${Text} label="Department" name="department" value=${form.department} onValue=${set("department")} problem=${problem} />
      <${EndpointField} name="endpoint_id" value=${form.endpoint_id} onValue=${set("endpoint_id")} problem=${problem} placeholder="any, or why not this one" />
      <div class="buttons"><button class="primary">Match</button></div>
    </form>
    <div aria-live="polite">
      ${problem && (problem.isNotAvailable ? html`<${NotAvailable} what="The match tool" />` : html`<${ProblemNotice} problem=${problem} />`)}
      ${answer && html`<${Answer} answer=${answer} />`}
    </div>
  </section>`;
}

function Answer({ answer: { event, matched, data, next_cursor: more } }) {
  return html`
    <p class="lead"><strong>${count(matched)}</strong> endpoint${matched === 1 ? "" : "s"} would get it.${more && ` The first ${count(data.length)} of them:`}
      ${event?.refused && html` <span class="bad">${event.refused.detail}</span>`}</p>
    ${data.length > 0 && html`<${Table} caption="Who gets it, and why" rows=${data} rowKey=${({ endpoint_id: id }) => id} columns=${COLUMNS} />`}`;
}

const COLUMNS = [
  { title: "Endpoint", wide: true, cell: ({ endpoint_id: id, uid, url }) => html`<a class="name" href=${to(["endpoints", id])}>${uid ?? id}</a><small class="address" title=${url}>${url}</small>` },
  { title: "Gets it", cell: ({ gets }) => html`<span class=${gets ? "good" : "bad"}>${gets ? "yes" : "no"}</span>` },
  { title: "Why", wide: true, cell: ({ detail, code }) => html`${detail}<small><code>${code}</code></small>` },
  { title: "By", cell: ({ subscription_ids: ids }) => ids.map((id) => html`<code class="dim" key=${id}>${id} </code>`) },
  { title: "State", cell: ({ state }) => html`<${State} of=${state} />` },
];
