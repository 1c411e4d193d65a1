// Asks the service whose key this is.
import { call } from "./api.js";
import { begin } from "./session.js";

let asked = null;

export async function identify(key) {
  asked = key;
  begin(key, await call("GET", "api-keys/current", { key }));
}

// Once for each key: what was remembered of it may not hold any more.
export const identifyOnce = async (key) => asked === key || identify(key);
