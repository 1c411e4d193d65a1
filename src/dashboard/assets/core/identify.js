// Asks the service whose key this is.
import { call } from "./api.js";
import { begin } from "./session.js";

export async function identify(key) {
  try {
    begin(key, await call("GET", "api-keys/current", { key }));
  } catch (problem) {
    if (!problem.isNotAvailable) throw problem;
    // A service from before keys had roles: its one key is the operator's own.
    await call("GET", "endpoints", { key, query: { limit: 1 } });
    begin(key, { role: "admin" });
  }
}
