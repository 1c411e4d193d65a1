// What can be done to an endpoint. What loses something, or stops deliveries, is asked about first.
import { call, path, post } from "../core/api.js";
import { count, duration, words } from "../core/format.js";
import { go } from "../core/route.js";
import { mayWrite } from "../core/session.js";
import { html, useState } from "../core/ui.js";
import { announce } from "../parts/announce.js";
import { SecretOnce } from "../parts/copy.js";
import { Confirm, Dialog } from "../parts/dialog.js";
import { Facts } from "../parts/facts.js";
import { Choice, Text } from "../parts/field.js";
import { ProblemNotice } from "../parts/notice.js";
import { State } from "../parts/state.js";

export function EndpointActions({ endpoint, who, reload }) {
  const [open, setOpen] = useState(null);
  const [problem, setProblem] = useState(null);
  const [secret, setSecret] = useState(null);
  if (!mayWrite(who)) return html`<span class="dim">an operator's key looks, and changes nothing</span>`;
  const name = endpoint.uid ?? endpoint.id;
  const at = (action) => `${path("endpoints", endpoint.id)}/${action}`;
  const act = async (action, said) => {
    try {
      await post(at(action));
      announce(`${name} ${said}`);
      reload();
    } catch (failed) {
      setProblem(failed);
    }
  };
  const close = () => setOpen(null);
  const done = (said) => () => {
    announce(`${name} ${said}`);
    reload();
  };
  const ask = { onClose: close };
  const { state } = endpoint;
  return html`
    ${state === "enabled" && html`<button onClick=${() => setOpen("pause")}>Pause</button>`}
    ${(state === "paused" || (state === "enabled" && endpoint.suspended_at)) && html`<button class="primary" onClick=${() => act("resume", "goes on")}>Resume</button>`}
    ${state === "disabled" && html`<button class="primary" onClick=${() => act("enable", "is enabled")}>Enable</button>`}
    <button onClick=${() => setOpen("test")}>Send a test event</button>
    <details class="menu" onKeyDown=${(event) => event.key === "Escape" && shut(event)}>
      <summary>More</summary>
      <div onClick=${shut}>
        <button onClick=${() => go(["replays"], { endpoint: endpoint.id })}>Replays …</button>
        <button onClick=${() => setOpen("rotate")}>Rotate the secret …</button>
        <button onClick=${() => setOpen("restart")}>Restart its actor …</button>
        <button onClick=${() => setOpen("purge")}>Purge the backlog …</button>
        ${state !== "disabled" && html`<button onClick=${() => setOpen("disable")}>Disable …</button>`}
        <button class="danger" onClick=${() => setOpen("delete")}>Delete …</button>
      </div>
    </details>
    ${problem && html`<${Dialog} title="This did not work" onClose=${() => setProblem(null)}>
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end"><button onClick=${() => setProblem(null)}>Close</button></div>
    <//>`}
    ${open === "pause" && html`<${Confirm} ...${ask} title="Pause ${name}?" label="Pause" action=${() => post(at("pause"))} onDone=${done("is paused")}>
      <p>Nothing more is sent to it. Its events wait in the backlog until it is resumed.</p><//>`}
    ${open === "disable" && html`<${Confirm} ...${ask} danger title="Disable ${name}?" label="Disable" action=${() => post(at("disable"))} onDone=${done("is disabled")}>
      <p>Nothing is sent to it, and nothing new is kept for it. What it misses can be had again by a replay.</p><//>`}
    ${open === "rotate" && html`<${Rotate} ...${ask} name=${name} at=${at("secrets/rotate")} onDone=${(answer) => { setSecret(answer.secret); reload(); }} />`}
    ${secret && html`<${SecretOnce} title="The new signing secret of ${name}" secret=${secret} onClose=${() => setSecret(null)} />`}
    ${open === "restart" && html`<${Confirm} ...${ask} title="Restart the actor of ${name}?" label="Restart" action=${() => post(at("restart"))} onDone=${done("is restarted")}>
      <p>Its breaker, its retries and what it has in memory are reset on every instance. No event is lost; some may be sent twice.</p><//>`}
    ${open === "purge" && html`<${Confirm} ...${ask} danger phrase=${name} title="Purge the backlog of ${name}?" label="Purge" action=${() => purge(at("backlog/purge"))} onDone=${(events) => { announce(`${count(events)} events of ${name} are purged`); reload(); }}>
      <p>What waits for it now is thrown away and will not be delivered, unless a replay brings it again.</p><//>`}
    ${open === "delete" && html`<${Confirm} ...${ask} danger phrase=${name} title="Delete ${name}?" label="Delete" action=${() => call("DELETE", path("endpoints", endpoint.id))}
      onDone=${() => { announce(`${name} is deleted`); go(["endpoints"]); }}>
      <p>Its subscriptions go with it, and what waits for it is cancelled.</p><//>`}
    ${open === "test" && html`<${TestEvent} name=${name} at=${at("test")} onClose=${close} />`}`;
}

const OVERLAPS = [["0", "at once"], ["3600000", "in an hour"], ["86400000", "in a day"], ["604800000", "in a week"]];

function Rotate({ name, at, onClose, onDone }) {
  const [overlap, setOverlap] = useState("86400000");
  const [secret, setNext] = useState("");
  const action = () => post(at, { overlap_ms: Number(overlap), ...(secret === "" ? {} : { secret }) });
  return html`<${Confirm} title="Rotate the signing secret of ${name}?" label="Rotate" action=${action} onClose=${onClose} onDone=${onDone}>
    <p>A new secret signs from now on. Until the one before ends, requests carry both signatures, so the receiver has time to take the new one.</p>
    <${Choice} label="The previous secret ends" value=${overlap} onValue=${setOverlap} options=${OVERLAPS} />
    <${Text} label="New secret" type="password" autocomplete="new-password" value=${secret} onValue=${setNext} placeholder="generated" hint="to bring one along: whsec_ and 24 to 64 bytes in base64" />
  <//>`;
}

// The service works at it for a while, and says whether anything is left.
async function purge(at) {
  let sum = 0;
  for (;;) {
    const answer = await post(at);
    sum += answer.purged_events;
    if (answer.finished || answer.purged_events === 0) return sum;
  }
}

const shut = (event) => {
  const details = event.currentTarget.closest("details");
  details.open = false;
  details.querySelector("summary").focus();
};

// Sends one, and shows what the endpoint answered.
function TestEvent({ name, at, onClose }) {
  const [state, set] = useState({ busy: false });
  const send = async () => {
    set({ busy: true });
    try {
      set({ busy: false, answer: await post(at) });
    } catch (problem) {
      set({ busy: false, problem });
    }
  };
  return html`<${Dialog} title="Send a test event to ${name}" onClose=${onClose}>
    <p>One made-up event, signed like any other. It is sent once, past the backlog, and counts for nothing.</p>
    <div aria-live="polite">
      ${state.answer && html`<${Facts} of=${[
        ["Outcome", html`<${State} of=${state.answer.outcome} />`],
        ["Status", state.answer.status],
        ["Why", state.answer.outcome !== "delivered" && words(state.answer.class)],
        ["It said", state.answer.excerpt && html`<code>${state.answer.excerpt}</code>`],
        ["Took", duration(state.answer.duration_ms)],
        ["webhook-id", html`<code>${state.answer.webhook_id}</code>`],
      ]} />`}
      <${ProblemNotice} problem=${state.problem} />
    </div>
    <div class="buttons end">
      <button onClick=${onClose}>Close</button>
      <button class="primary" disabled=${state.busy} onClick=${send}>${state.answer ? "Send another" : "Send"}</button>
    </div>
  <//>`;
}
