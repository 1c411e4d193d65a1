// A number in a table: nothing is quiet, and what should be nothing is not when it is something.
import { count } from "../core/format.js";
import { html } from "../core/ui.js";

export const Number = ({ value, show = count, bad }) => html`<span class=${value === 0 ? "zero" : bad && value > 0 ? "bad" : ""}>${show(value)}</span>`;
