// The state of an endpoint or a breaker: a shape, a colour, a word.
import { words } from "../core/format.js";
import { html } from "../core/ui.js";
import { stateIcon } from "./icons.js";

const MOOD = {
  healthy: "good", running: "good", enabled: "good", closed: "good", done: "good", delivered: "good",
  failing: "warn", half_open: "warn", lagging: "warn", waiting: "calm", rebuilding: "warn", held_back: "warn",
  rereading: "warn", retrying: "warn", open: "bad", suspended: "bad", failed: "bad", rejected: "bad", gone: "bad", disconnected: "bad", local_fault: "warn", unreadable: "bad", paused: "calm", disabled: "calm", cancelled: "calm", idle: "calm",
};
const SHAPE = {
  running: "healthy", enabled: "healthy", closed: "healthy", done: "healthy", delivered: "healthy", failed: "failing",
  waiting: "lagging", rebuilding: "lagging", held_back: "lagging", rereading: "lagging", retrying: "lagging",
  rejected: "failing", suspended: "paused", gone: "disabled", disconnected: "failing", local_fault: "failing", cancelled: "disabled",
};
const MEANS = {
  healthy: "events are delivered",
  failing: "some attempts fail",
  open: "the breaker is open: nothing is sent but a probe now and then",
  half_open: "the breaker is half open: a probe decides",
  paused: "paused by someone; events wait",
  disabled: "nothing is sent, and nothing new is kept",
  suspended: "its backlog is full: what comes is skipped, and replayed once it is resumed",
  lagging: "slower than its events come; they wait in the backlog",
  idle: "nothing to do",
  unreadable: "stored by another version, or sealed with another key: nothing is sent, and what comes waits",
  held_back: "nobody can be reached, so everybody waits",
};

export function State({ of, label }) {
  if (!of) return html`<span class="dim">–</span>`;
  return html`<span class="state ${MOOD[of] ?? "calm"}" title=${MEANS[of]}>
    ${stateIcon(SHAPE[of] ?? of)}<span>${label ?? words(of)}</span>
  </span>`;
}

// How an endpoint is, at a glance: its health where it is known, else its setting.
export const endpointState = (endpoint) => {
  if (endpoint.unreadable || endpoint.secrets_unreadable) return "unreadable";
  if (endpoint.state === "enabled" && endpoint.suspended_at) return "suspended";
  if (endpoint.health?.status === "unreadable") return "unreadable";
  if (endpoint.state === "paused" || endpoint.state === "disabled") return endpoint.state;
  return endpoint.health?.status ?? endpoint.state;
};
