// Dialogs: the browser's own, which keep the focus, close on Escape and give the focus back.
import { ProblemNotice } from "./notice.js";
import { leave } from "../core/unsaved.js";
import { html, useId, useLayoutEffect, useRef, useState } from "../core/ui.js";

export function Dialog({ title, onClose, children, wide }) {
  const [element, id] = [useRef(null), useId()];
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      // What opened it may be gone by now.
      if (before?.isConnected) before.focus();
      else document.querySelector("main h1")?.focus();
    };
  }, []);
  return html`<dialog
    ref=${element}
    class=${wide ? "wide" : ""}
    aria-labelledby=${id}
    onCancel=${(event) => {
      event.preventDefault();
      leave(onClose, element.current);
    }}
    onClose=${(event) => event.target === element.current && onClose()}
  >
    <h2 id=${id}>${title}</h2>
    ${children}
  </dialog>`;
}

// Asks before `action` (async) is done, and stays open with the problem when it fails. `phrase`: what has to be typed.
export function Confirm({ title, children, label, danger, phrase, action, onClose, onDone }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [typed, setTyped] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const result = await action();
      onClose();
      onDone?.(result);
    } catch (failed) {
      setProblem(failed);
      setBusy(false);
    }
  };
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form onSubmit=${submit}>
      ${children}
      ${phrase &&
      html`<label class="field">
        <span>Type <code>${phrase}</code> to confirm</span>
        <input value=${typed} onInput=${(event) => setTyped(event.target.value)} autocomplete="off" spellcheck="false" />
      </label>`}
      <${ProblemNotice} problem=${problem} />
      <div class="buttons end">
        <button type="button" onClick=${onClose}>Cancel</button>
        <button class=${danger ? "danger" : "primary"} disabled=${busy || (phrase && typed !== phrase)}>${label}</button>
      </div>
    </form>
  <//>`;
}
