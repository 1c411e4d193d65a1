// The page's signs. A state has a shape of its own beside its colour.
import { html } from "../core/ui.js";

const draw = (body) => html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">${body}</svg>`;

const STATES = {
  healthy: html`<circle class="solid" cx="8" cy="8" r="4.5" />`,
  idle: html`<circle class="line" cx="8" cy="8" r="3.5" />`,
  failing: html`<path class="solid" d="M8 2.6 14 13H2z" />`,
  open: html`<path class="line" d="M11.8 4.2a5.4 5.4 0 1 0 1.6 3.8" /><path class="line" d="m5.8 5.8 4.4 4.4m0-4.4-4.4 4.4" />`,
  half_open: html`<circle class="line" cx="8" cy="8" r="5" /><path class="solid" d="M8 3a5 5 0 0 1 0 10z" />`,
  paused: html`<path class="solid" d="M4.5 3.5h2.4v9H4.5zm4.6 0h2.4v9H9.1z" />`,
  disabled: html`<circle class="line" cx="8" cy="8" r="5" /><path class="line" d="m4.6 11.4 6.8-6.8" />`,
  unreadable: html`<path class="line" d="M5.2 5.8a2.8 2.8 0 1 1 4.3 2.4C8.4 8.9 8 9.3 8 10.2" /><circle class="solid" cx="8" cy="13" r="1.1" />`,
  lagging: html`<path class="line" d="M4.5 2.5h7M4.5 13.5h7M5.5 2.5c0 3.5 5 4 5 5.5s-5 2-5 5.5m5-11c0 3.5-5 4-5 5.5s5 2 5 5.5" />`,
};

export const stateIcon = (state) => draw(STATES[state] ?? STATES.idle);

// A post horn.
export const Horn = () => html`
  <svg class="horn" viewBox="0 0 32 24" width="32" height="24" aria-hidden="true">
    <path class="line" d="M4 6.5h12.5a6 6 0 1 1-6 6v-1h13.2L29.5 17V4.5l-5.8 4" />
  </svg>`;

export const ThemeIcon = () => draw(html`<circle class="line" cx="8" cy="8" r="5.5" /><path class="solid" d="M8 2.5a5.5 5.5 0 0 1 0 11z" />`);
export const Chevron = ({ down }) => draw(html`<path class="line" d=${down ? "m4 6 4 4 4-4" : "m6 4 4 4-4 4"} />`);
export const Sorted = ({ up }) => draw(html`<path class="solid" d=${up ? "M8 5l3.5 5h-7z" : "M8 11 4.5 6h7z"} />`);
