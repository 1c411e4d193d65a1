// Where one is: `#/endpoints/ep_1/attempts?state=failing`. What stands behind the # never reaches a server or its logs.
import { store } from "./store.js";

export const route = store(read());

addEventListener("hashchange", () => route.set(read()));

// The address of a place, for links.
export function to(names, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : "";
  return `#/${names.map(encodeURIComponent).join("/")}${search}`;
}

// `replace`: the place before is not one to come back to, such as every letter of a search.
export function go(names, query, { replace = false } = {}) {
  const address = to(names, query);
  if (replace) {
    history.replaceState(null, "", address);
    route.set(read());
  } else {
    location.hash = address;
  }
}

function read() {
  const [names, search] = location.hash.replace(/^#\/?/, "").split("?");
  return { names: names.split("/").filter(Boolean).map(unescape), query: Object.fromEntries(new URLSearchParams(search)) };
}

function unescape(name) {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
