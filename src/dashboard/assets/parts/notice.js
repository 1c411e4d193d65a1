// What stands where data would: loading, nothing there, a problem. And the line that says that data is old.
import { awaySince } from "../core/api.js";
import { duration, time } from "../core/format.js";
import { useStore } from "../core/store.js";
import { html, useEffect, useState } from "../core/ui.js";

export function ProblemNotice({ problem, children }) {
  if (!problem) return null;
  return html`<div class="notice bad" role="alert" tabindex="-1">
    <strong>${problem.title || "This did not work"}</strong>
    <p>${problem.detail || problem.message}</p>
    ${problem.errors?.length > 0 &&
    html`<ul>
      ${problem.errors.map((error) => html`<li><code>${error.field}</code> ${error.message}</li>`)}
    </ul>`}
    ${children}
    ${problem.code && (problem.status > 0 || problem.code === "no_answer") && html`<p class="fine">${problem.status || "no answer"} · <code>${problem.code}</code></p>`}
  </div>`;
}

export const NotAvailable = ({ what }) =>
  html`<p class="notice">${what} is not available: this Postrider is of another version than the page.</p>`;

export const Empty = ({ children }) => html`<div class="empty">${children}</div>`;

// Draws `children(data)` once there is data. `what` names it, `none` says what it means that there is no such thing.
export function Loaded({ live, what, none, children }) {
  if (live.data !== null) return children(live.data);
  if (live.problem?.isNotAvailable) return html`<${NotAvailable} what=${what} />`;
  if (none && live.problem?.status === 404) return html`<p class="dim">${none}</p>`;
  if (live.problem) return html`<${ProblemNotice} problem=${live.problem} />`;
  return html`<${Loading} what=${what} />`;
}

// Instances that did not answer the one that was asked: what they know is missing.
export function Unreachable({ instances = [] }) {
  if (instances.length === 0) return null;
  return html`<p class="notice" role="status">Not every instance answered, so these numbers lack what it knows:
    ${instances.map(({ id, reason }) => `${id} (${reason})`).join(", ")}</p>`;
}

// Says so only when it takes a moment: a word that flashes helps nobody.
function Loading({ what }) {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setSlow(true), 300);
    return () => clearTimeout(timer);
  }, []);
  return html`<p class="empty" aria-busy="true">${slow ? `Loading ${what} …` : "\u00a0"}</p>`;
}

// Across the whole page while the service does not answer.
export function AwayNotice() {
  const since = useStore(awaySince);
  const [, tick] = useState(0);
  useEffect(() => {
    if (since === null) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [since]);
  return html`<div role="status" class="away-region">
    ${since !== null &&
    html`<p class="away">
      <strong>Postrider does not answer</strong> since ${time(since)} ${Date.now() - since > 1000 && ` (${duration(Math.floor((Date.now() - since) / 1000) * 1000)})`}. What you see is
      from before; it is asked again and again.
    </p>`}
  </div>`;
}
