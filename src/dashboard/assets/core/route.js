// Where one is: `#/endpoints/ep_1/attempts?state=failing`. What stands behind the # never reaches a server or its logs.
import { hasUnsaved, leave } from "./unsaved.js";
import { store } from "./store.js";

export const route = store(read());

// Each place of the browser's history has a number here, so that one knows which way somebody went, and can go back.
let place = history.state?.place ?? 0;
let allowed = false;
mark(place);

addEventListener("hashchange", () => {
  const before = place;
  const next = history.state?.place ?? before + 1; // a place without a number is new
  mark(next);
  if (hasUnsaved() && !allowed) return turnBack(before, next);
  allowed = false;
  route.set(read());
});

// The address is back where the form is; who leaves it all the same goes again.
function turnBack(before, next) {
  allowed = true;
  history.go(before - next);
  leave(() => {
    allowed = true;
    history.go(next - before);
  });
}

function mark(number) {
  place = number;
  if (history.state?.place !== number) history.replaceState({ place: number }, "");
}

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
    history.replaceState({ place }, "", address);
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
