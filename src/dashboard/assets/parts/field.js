// Fields of forms, each with its label, and the API's complaint beside it.
import { html, useId } from "../core/ui.js";

// `name` is the field's name in the API's `errors`.
export function Field({ label, name, problem, hint, children, wide }) {
  const id = useId();
  const errors = (problem?.errors ?? []).filter(({ field }) => name && (field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[`)));
  return html`<div class="field ${wide ? "wide" : ""}">
    <label for=${id}>${label}</label>
    ${children(id, errors.length > 0 ? { "aria-invalid": "true", "aria-describedby": `${id}-wrong` } : {})}
    ${hint && html`<span class="fine">${hint}</span>`}
    ${errors.length > 0 && html`<span class="wrong" id="${id}-wrong">${errors.map(({ field, message }) => `${field === name ? "" : `${field} `}${message}`).join("; ")}</span>`}
  </div>`;
}

export function Text({ label, name, value, onValue, problem, hint, wide, ...rest }) {
  return html`<${Field} label=${label} name=${name} problem=${problem} hint=${hint} wide=${wide}>
    ${(id, wrong) => html`<input
      id=${id} value=${value} onInput=${(event) => onValue(event.target.value)}
      autocomplete="off" autocapitalize="off" spellcheck="false" ...${wrong} ...${rest}
    />`}
  <//>`;
}

export function Choice({ label, name, value, onValue, options, problem, hint }) {
  return html`<${Field} label=${label} name=${name} problem=${problem} hint=${hint}>
    ${(id, wrong) => html`<select id=${id} onChange=${(event) => onValue(event.target.value)} ...${wrong}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select>`}
  <//>`;
}
