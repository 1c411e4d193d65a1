// A moment: short, in the reader's own time; whole, in both times, for whoever points at it.
import { instant, time } from "../core/format.js";
import { html } from "../core/ui.js";

const whole = new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeStyle: "long" });

export function At({ at, none = "–" }) {
  const moment = instant(at);
  if (moment === null || Number.isNaN(moment.getTime())) return none;
  const iso = moment.toISOString();
  return html`<time datetime=${iso} title=${`${whole.format(moment)}\n${iso}`}>${time(at)}</time>`;
}

// The zone of the times on the page, such as "Europe/Berlin, UTC+1".
export function zone(now = new Date()) {
  const minutes = -now.getTimezoneOffset();
  const [hours, rest] = [Math.trunc(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const offset = minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "−" : "+"}${hours}${rest > 0 ? `:${String(rest).padStart(2, "0")}` : ""}`;
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  return timeZone && timeZone !== "UTC" ? `${timeZone}, ${offset}` : offset;
}
