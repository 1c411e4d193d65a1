// What was seen of something while somebody watched: for plots of what the service keeps no history of.
import { useEffect, useState } from "./ui.js";

const KEPT = 300;
const traces = new Map();

// `pick(data)` gives the values to keep, each a line of its own. One thing's trace survives a change of views.
export function useTrace(id, live, pick) {
  const [, drawn] = useState(0);
  useEffect(() => {
    if (live.data === null) return;
    const trace = traces.get(id) ?? { times: [], values: [] };
    const values = pick(live.data);
    traces.set(id, {
      times: [...trace.times, live.at].slice(-KEPT),
      values: values.map((value, index) => [...(trace.values[index] ?? []), value ?? null].slice(-KEPT)),
    });
    drawn(live.at);
  }, [id, live.at]);
  return traces.get(id) ?? { times: [], values: [] };
}
