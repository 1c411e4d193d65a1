// A view's heading, and how old what is shown below it is.
import { awaySince } from "../core/api.js";
import { time } from "../core/format.js";
import { useStore } from "../core/store.js";
import { html } from "../core/ui.js";

export function Title({ children, live, actions }) {
  const away = useStore(awaySince) !== null;
  return html`<div class="title">
    <h1 tabindex="-1">${children}</h1>
    ${live?.at && html`<span class="as-of ${away ? "old" : ""}">${away ? "as of" : "live,"} ${time(live.at)}</span>`}
    ${actions && html`<div class="buttons">${actions}</div>`}
  </div>`;
}
