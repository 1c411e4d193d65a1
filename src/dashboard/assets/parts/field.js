// Fields of forms, each with its label, what may be written, and the API's complaint beside it.
import { html, useId } from "../core/ui.js";

// Whether an error of the API is about the field of this name, or about a part of it.
export const isOf = (name, { field }) => field === name || field.startsWith(`${name}.`) || field.startsWith(`${name}[`);

// `name` is the field's name in the API's `errors`. `children(id, attributes)` draws the control.
export function Field({ label, name, problem, hint, children, wide }) {
  const id = useId();
  const errors = name ? (problem?.errors ?? []).filter((error) => isOf(name, error)) : [];
  const wrong = errors.length > 0;
  const told = [wrong && `${id}-wrong`, hint && `${id}-hint`].filter(Boolean).join(" ");
  const attributes = { ...(wrong ? { "aria-invalid": "true" } : {}), ...(told ? { "aria-describedby": told } : {}) };
  return html`<div class="field ${wide ? "wide" : ""}" data-field=${name}>
    <label for=${id}>${label}</label>
    ${children(id, attributes)}
    ${hint && html`<span class="fine" id="${id}-hint">${hint}</span>`}
    ${wrong && html`<span class="wrong" id="${id}-wrong">${errors.map(({ field, message }) => `${field === name ? "" : `${field.slice(name.length).replace(/^\./, "")} `}${message}`).join("; ")}</span>`}
  </div>`;
}

const quiet = { autocomplete: "off", autocapitalize: "off", spellcheck: false };

export function Text({ label, name, value, onValue, problem, hint, wide, ...rest }) {
  return html`<${Field} label=${label} name=${name} problem=${problem} hint=${hint} wide=${wide}>
    ${(id, told) => html`<input id=${id} value=${value} onInput=${(event) => onValue(event.target.value)} ...${quiet} ...${told} ...${rest} />`}
  <//>`;
}

export function Area({ label, name, value, onValue, problem, hint, rows = 4, ...rest }) {
  return html`<${Field} label=${label} name=${name} problem=${problem} hint=${hint} wide>
    ${(id, told) => html`<textarea id=${id} rows=${rows} value=${value} onInput=${(event) => onValue(event.target.value)} ...${quiet} ...${told} ...${rest}></textarea>`}
  <//>`;
}

export function Choice({ label, name, value, onValue, options, problem, hint, wide }) {
  return html`<${Field} label=${label} name=${name} problem=${problem} hint=${hint} wide=${wide}>
    ${(id, told) => html`<select id=${id} onChange=${(event) => onValue(event.target.value)} ...${told}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select>`}
  <//>`;
}

export function Check({ label, checked, onValue, hint }) {
  const id = useId();
  return html`<div class="field check">
    <label for=${id}><input type="checkbox" id=${id} checked=${checked} onChange=${(event) => onValue(event.target.checked)} aria-describedby=${hint ? `${id}-hint` : undefined} /> ${label}</label>
    ${hint && html`<span class="fine" id="${id}-hint">${hint}</span>`}
  </div>`;
}

// Fields that belong together.
export const Group = ({ title, lead, children }) => html`<fieldset>
  <legend>${title}</legend>
  ${lead && html`<p class="fine">${lead}</p>`}
  <div class="fields">${children}</div>
</fieldset>`;
