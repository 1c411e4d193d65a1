// Data that stays fresh: asked for again and again while somebody looks.
import { get } from "./api.js";
import { useCallback, useLayoutEffect, useRef, useState } from "./ui.js";

const nothing = { data: null, problem: null, at: null, loading: true };

// A time in a query may be `{ ago: ms }`: so long before it is asked.
const asOfNow = (query) => query && Object.fromEntries(Object.entries(query).map(([name, value]) => [name, value?.ago ? new Date(Date.now() - value.ago).toISOString() : value]));

// Asks for `path` now, when it changes, and every `everyMs` (0: never again) while the page is visible. What was read
// stays when a later answer does not come: `problem` then says why, and `at` from when it is. `path` null: nothing yet.
export function useLive(path, query, everyMs = 3000) {
  const asked = path === null ? null : JSON.stringify([path, query ?? null]);
  const [state, set] = useState(nothing);
  const kick = useRef(() => {});
  // Before anything is painted: an answer that is there already is in the first picture.
  useLayoutEffect(() => {
    set(nothing);
    if (asked === null) return undefined;
    const [path, query] = JSON.parse(asked);
    return poll(path, query, everyMs, set, kick);
  }, [asked, everyMs]);
  const reload = useCallback(() => kick.current(), []);
  return { ...state, reload };
}

function poll(path, query, everyMs, set, kick) {
  const stop = new AbortController();
  let timer = null;
  let [busy, again, misses] = [false, false, 0];
  async function ask() {
    clearTimeout(timer);
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const data = await get(path, asOfNow(query), stop.signal);
      misses = 0;
      set({ data, problem: null, at: Date.now(), loading: false });
    } catch (problem) {
      if (stop.signal.aborted) return;
      misses += 1;
      set((before) => ({ ...(problem.isAway ? before : nothing), problem, loading: false }));
    }
    busy = false;
    if (again) {
      again = false;
      ask();
    } else if (everyMs > 0) {
      // A service in trouble is not asked more often for it.
      timer = setTimeout(look, everyMs * Math.min(1 + misses, 5));
    }
  }
  const look = () => {
    if (document.visibilityState === "visible") ask();
  };
  kick.current = ask;
  document.addEventListener("visibilitychange", look);
  ask();
  return () => {
    stop.abort();
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
    kick.current = () => {};
  };
}
