// What was just done, said to everybody: on the screen for a while, and by a screen reader.
import { store, useStore } from "../core/store.js";
import { html } from "../core/ui.js";

const said = store(null);
let timer = null;

export function announce(text) {
  clearTimeout(timer);
  said.set(text);
  timer = setTimeout(() => said.set(null), 6000);
}

export function Announcement() {
  const text = useStore(said);
  return html`<div class="announcement" role="status">${text && html`<p>${text}</p>`}</div>`;
}
