// How dead letters go that were sent again: delivered, waiting, given up again, cancelled. What was asked for here is followed to
// its end; what somebody else asked for is told while it lasts.
import { count } from "../core/format.js";
import { useLive } from "../core/live.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";

const LOOK_MS = 1000;
const GLANCE_MS = 5000;

// What this page asked for, by whose letters they are: it is followed on, also when one looks elsewhere in between.
const asked = new Map();

// Letters that are asked for while others are on their way join them.
export function follow(at, letters, since) {
  const before = asked.get(at);
  const goesOn = before !== undefined && !before.ended;
  asked.set(at, goesOn ? { ...before, letters: before.letters + letters } : { letters, since, ended: false });
}

export function Redriving({ at, endpoint, onChange }) {
  const mine = asked.get(at);
  const follows = mine !== undefined && !mine.ended;
  const [, drawn] = useState(0);
  const before = useRef(null);
  const { data } = useLive(`${at}/redrive`, mine && { since: mine.since }, follows && endpoint.state === "enabled" ? LOOK_MS : GLANCE_MS);
  const under = data?.waiting ?? null;
  useEffect(() => {
    if (under === null) return;
    if (follows && under === 0) asked.set(at, { ...mine, ended: true, delivered: data.delivered, again: data.dead_again, cancelled: data.cancelled });
    if (before.current !== null || follows) onChange();
    before.current = under;
    drawn(Date.now());
  }, [under]);
  const close = () => {
    asked.delete(at);
    drawn(Date.now());
  };
  return html`<div class="redriving">
    <div role="status">${mine?.ended && html`<${Ended} ends=${mine} onClose=${close} />`}</div>
    ${follows && html`<${UnderWay} letters=${mine.letters} now=${data} endpoint=${endpoint} />`}
    ${!mine && under > 0 && html`<p class="notice">${count(under)} ${under === 1 ? "is on its" : "are on their"} way to the endpoint again.<${Waits} endpoint=${endpoint} /></p>`}
  </div>`;
}

function UnderWay({ letters, now, endpoint }) {
  const left = Math.min(now?.waiting ?? letters, letters);
  return html`<p class="notice">
    <progress max=${letters} value=${letters - left} aria-label="Letters that no longer wait"></progress>
    ${" "}<strong>${count(now?.delivered ?? 0)} of ${count(letters)}</strong> delivered, ${count(left)} on their way or waiting${rest(now ?? {})}.<${Waits} endpoint=${endpoint} />
  </p>`;
}

// What ended otherwise, where anything did.
const rest = ({ dead_again: again, cancelled }) => `${again > 0 ? `, ${count(again)} given up again` : ""}${cancelled > 0 ? `, ${count(cancelled)} cancelled` : ""}`;

const Waits = ({ endpoint: { state } }) => state !== "enabled" && html` The endpoint is ${state}: they wait until it is ${state === "paused" ? "resumed" : "enabled"}.`;

function Ended({ ends: { letters, delivered, again, cancelled }, onClose }) {
  const bad = again > 0 || cancelled > 0;
  return html`<div class="notice ${bad ? "bad" : "good-end"}">
    <strong>${count(letters)} sent again: ${count(delivered)} delivered${rest({ dead_again: again, cancelled })}</strong>
    ${again > 0 && html`<p>Events that were given up again are listed below, with what the endpoint answered this time.</p>`}
    ${cancelled > 0 && html`<p>The endpoint no longer subscribes to the cancelled events; they stay dead letters.</p>`}
    <button type="button" class="small" onClick=${onClose}>Close</button>
  </div>`;
}
