// The views. Each is fetched when it is first shown; the others as soon as there is time, so that going on waits for nothing.
import { useEffect, useState } from "./ui.js";

const FETCH = {
  Actors: () => import("../views/actors.js"),
  Customers: () => import("../views/customers.js"),
  Endpoint: () => import("../views/endpoint.js"),
  Endpoints: () => import("../views/endpoints.js"),
  OperatorLetters: () => import("../views/operator_letters.js"),
  Overview: () => import("../views/overview.js"),
  Replays: () => import("../views/replays.js"),
  Subscriptions: () => import("../views/subscriptions.js"),
};
const views = new Map();

export async function fetchView(name) {
  if (!views.has(name)) views.set(name, (await FETCH[name]())[name]);
}

// The component of this name once it is there, and the problem when it cannot be had. `again` tries once more.
export function useView(name) {
  const [{ failed }, set] = useState({});
  const again = () => fetchView(name).then(() => set({}), () => set({ failed: name }));
  useEffect(() => {
    if (!views.has(name)) again();
  }, [name]);
  return { View: views.get(name) ?? null, failed: failed === name, again };
}

// Once something is shown.
export function fetchOthers() {
  // Which ones cannot be had is seen when somebody wants to see them.
  setTimeout(() => Object.keys(FETCH).forEach((name) => fetchView(name).catch(() => {})), 2000);
}
