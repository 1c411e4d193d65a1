// Forms that somebody has written in and not saved: leaving them is asked about first.
import { store } from "./store.js";

const forms = new Set();

// `form`: { changed(), element() }, whether there is something to lose, and where. Returns how to forget it.
export function watch(form) {
  forms.add(form);
  // A page that listens for this may not be kept for coming back, so it listens only while there is a form.
  addEventListener("beforeunload", hold);
  return () => forget([form]);
}

const unsaved = (within) => [...forms].filter((form) => within.contains(form.element()) && form.changed());

export const hasUnsaved = () => unsaved(document).length > 0;

// What waits for an answer: { lost, go }.
export const leaving = store(null);

// Does `go`, which ends the forms within: at once, or once somebody said so.
export function leave(go, within = document) {
  const lost = unsaved(within);
  if (lost.length > 0) leaving.set({ lost, go });
  else go();
}

export function answer(anyway) {
  const { lost, go } = leaving.get();
  leaving.set(null);
  if (!anyway) return;
  forget(lost);
  go();
}

// What was changed is saved, though not by the form's own button.
export const saved = () => forget(unsaved(document));

function forget(some) {
  for (const form of some) forms.delete(form);
  if (forms.size === 0) removeEventListener("beforeunload", hold);
}

const hold = (event) => {
  if (hasUnsaved()) event.preventDefault();
};
