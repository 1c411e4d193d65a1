// The views. Each is fetched when it is first shown; the others as soon as there is time, so that going on waits for nothing.
import { useEffect, useState } from "./ui.js";

const FETCH = {
  Actors: () => import("../views/actors.js"),
  Customers: () => import("../views/customers.js"),
  Endpoint: () => import("../views/endpoint.js"),
  Endpoints: () => import("../views/endpoints.js"),
  Overview: () => import("../views/overview.js"),
  Replays: () => import("../views/replays.js"),
  Subscriptions: () => import("../views/subscriptions.js"),
  Unreadable: () => import("../views/unreadable.js"),
};
const views = new Map();

export async function fetchView(name) {
  if (!views.has(name)) views.set(name, (await FETCH[name]())[name]);
}

// The component of this name once it is there, and the problem when it cannot be had. `again` tries again.
export function useView(name) {
  const [{ failed }, set] = useState({});
  const View = views.get(name) ?? null;
  const again = () => fetchView(name).then(() => set({}), () => set({ failed: name }));
  useEffect(() => {
    // It may have come since this was drawn without it.
    if (View === null) again();
  }, [name]);
  return { View, failed: failed === name, again };
}

// Once something is shown.
export function fetchOthers() {
  // Which ones cannot be had is seen when somebody wants to see them.
  setTimeout(() => Object.keys(FETCH).forEach((name) => fetchView(name).catch(() => {})), 2000);
}
