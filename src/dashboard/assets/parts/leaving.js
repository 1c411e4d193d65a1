// Asks before what was written in a form and not saved is lost.
import { useStore } from "../core/store.js";
import { html } from "../core/ui.js";
import { answer, leaving } from "../core/unsaved.js";
import { Dialog } from "./dialog.js";

export function Leaving() {
  if (useStore(leaving) === null) return null;
  return html`<${Dialog} title="Leave without saving?" onClose=${() => answer(false)}>
    <p>What you changed in this form is not saved yet.</p>
    <div class="buttons end">
      <button class="primary" onClick=${() => answer(false)}>Stay</button>
      <button class="danger" onClick=${() => answer(true)}>Leave, and lose the changes</button>
    </div>
  <//>`;
}
