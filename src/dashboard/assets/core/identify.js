// Asks the service whose key this is.
import { call } from "./api.js";
import { begin } from "./session.js";

export async function identify(key) {
  begin(key, await call("GET", "api-keys/current", { key }));
}
