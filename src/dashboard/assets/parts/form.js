// A form: sent once at a time; what the service complains about stands beside its field, and the rest below; the first
// wrong field gets the focus.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../core/ui.js";
import { leave, watch } from "../core/unsaved.js";
import { isOf } from "./field.js";
import { ProblemNotice } from "./notice.js";

// `onSubmit` (async) throws a problem; `children(problem)` draws the fields. `notice` stands instead of a problem that the
// form speaks of itself.
export function Form({ label, onSubmit, onCancel, children, danger, disabled, notice, className }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const [rest, setRest] = useState([]);
  const [form, gone, told] = [useRef(null), useRef(false), useRef(null)];
  const [touched, saved] = [useRef(false), useRef(false)];
  useEffect(() => () => (gone.current = true), []);
  useLayoutEffect(() => {
    const element = form.current;
    const first = fields(element);
    // What somebody wrote back to what it was is no change; what came by itself is none either.
    return watch({ element: () => element, changed: () => touched.current && !saved.current && fields(element) !== first });
  }, []);
  useLayoutEffect(() => {
    if (problem === null) return;
    const names = [...form.current.querySelectorAll("[data-field]")].map((field) => field.dataset.field);
    setRest(problem.errors.filter((error) => !names.some((name) => isOf(name, error))));
    if (told.current === problem.of) return;
    told.current = problem.of;
    const wrong = form.current.querySelector("[aria-invalid]") ?? form.current.querySelector(".notice.bad");
    wrong?.focus();
  }, [problem]);
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProblem(null);
    try {
      await onSubmit();
      saved.current = true;
    } catch (failed) {
      if (!gone.current) setProblem({ ...plain(failed), of: failed });
    }
    if (!gone.current) setBusy(false);
  };
  // What is written again is not wrong before the service says so again.
  const written = ({ target }) => {
    [touched.current, saved.current] = [true, false];
    const name = target.closest("[data-field]")?.dataset.field;
    if (name && problem?.errors.some((error) => isOf(name, error))) setProblem({ ...problem, errors: problem.errors.filter((error) => !isOf(name, error)) });
  };
  return html`<form ref=${form} class=${className} onSubmit=${submit} onInput=${written} onClick=${() => (touched.current = true)} novalidate>
    ${children(problem)}
    ${problem && (notice?.(problem) || html`<${ProblemNotice} problem=${{ ...summary(problem, rest), errors: rest }} />`)}
    <div class="buttons end">
      ${onCancel && html`<button type="button" onClick=${() => leave(onCancel, form.current)}>Cancel</button>`}
      <button class=${danger ? "danger" : "primary"} disabled=${busy || disabled} aria-busy=${busy ? "true" : undefined}>${label}</button>
    </div>
  </form>`;
}

// All that the form's fields hold, as one text.
const fields = (form) => JSON.stringify([...form.querySelectorAll("input, select, textarea")].map(({ type, value, checked }) => (type === "checkbox" ? checked : value)));

const plain = ({ title, detail, message, status, code, errors }) => ({ title, detail, message, status, code, errors: errors ?? [], said: (errors ?? []).length });

// Of complaints that stand beside their fields it is enough to say so.
function summary({ title, detail, message, status, code, errors, said }, rest) {
  const beside = errors.length - rest.length;
  if (said > 0 && errors.length === 0) return { title: "This was not saved", detail: "You changed the fields that were wrong; save again." };
  if (beside === 0) return { title, detail, message, status, code };
  const [these, are] = beside === 1 ? ["One field", "is"] : [`${beside} fields`, "are"];
  return { title: "This was not saved", detail: `${these} above ${are} not right yet.`, status, code };
}
