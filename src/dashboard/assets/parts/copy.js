// A text to take along, and a secret that is shown this once.
import { Dialog } from "./dialog.js";
import { html, useState } from "../core/ui.js";

export function Copy({ text, label = "Copy" }) {
  const [done, setDone] = useState(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone("Copied");
    } catch {
      setDone("Select it and copy by hand");
    }
    setTimeout(() => setDone(null), 2500);
  };
  return html`<button type="button" class="small" onClick=${copy}><span aria-live="polite">${done ?? label}</span></button>`;
}

export function SecretOnce({ title, secret, children, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <p>This is the only time it is shown. Keep it where its owner keeps secrets.</p>
    <p class="secret"><code>${secret}</code><${Copy} text=${secret} /></p>
    ${children}
    <div class="buttons end"><button class="primary" onClick=${onClose}>I have it</button></div>
  <//>`;
}
