// Somebody else wrote what somebody is about to write: says what, and lets them choose.
import { html, useState } from "../core/ui.js";
import { ProblemNotice } from "./notice.js";

const list = (names) => names.map((name, index) => html`${index > 0 && ", "}<code>${name}</code>`);

// `mine` is what the form began with, `theirs` what is there now; `names` is what differs, and `changed()` what was changed
// in the form.
export function Conflict({ what, mine, theirs, names, changed, onTheirs, onMine }) {
  const [problem, setProblem] = useState(null);
  if (mine.version === theirs.version) return null;
  const both = changed().filter((name) => names.includes(name));
  const keep = async () => {
    try {
      await onMine();
    } catch (failed) {
      setProblem(failed);
    }
  };
  return html`<div class="notice conflict" role="alert">
    <strong>${what} was changed by someone else meanwhile</strong>
    <p>${names.length > 0 ? html`Now different: ${list(names)}.` : "None of these settings differs, but its state or its secret does."}
      ${both.length > 0 ? html` You changed ${list(both)} as well: saving yours replaces theirs there.` : " You changed nothing of that: saving yours leaves it as they have it."}</p>
    <div class="buttons">
      <button type="button" onClick=${onTheirs}>Begin again with what is there</button>
      <button type="button" class="primary" onClick=${keep}>Save my changes</button>
    </div>
    <${ProblemNotice} problem=${problem} />
  </div>`;
}

// What a form says of a write that came too late; `reload` gets what is there now.
export const conflicts = (what, reload) => (problem) => {
  if (problem.status !== 412) return null;
  return html`<div class="notice bad" role="alert" tabindex="-1">
    <strong>This was not saved: ${what} was changed meanwhile</strong>
    <p>Your changes are still in the fields.</p>
    <button type="button" onClick=${() => { reload(); scrollTo(0, 0); }}>Show the current version</button>
  </div>`;
};
