// A number that stands for something, with its unit and a word beside it.
import { html } from "../core/ui.js";

export const Figure = ({ name, value, unit, note, mood }) => html`<div class="figure ${mood ?? ""}">
  <dt>${name}</dt>
  <dd><b>${value}</b> <span>${unit}</span>${note && html`<small>${note}</small>`}</dd>
</div>`;
