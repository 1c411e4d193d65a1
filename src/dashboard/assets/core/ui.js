// What every view is written with: components by preact, markup by htm.
import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { Fragment, render } from "../vendor/preact.js";
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact_hooks.js";

// html`<p class=${name}>…</p>`; whatever is put in is text, never markup.
export const html = htm.bind(h);
