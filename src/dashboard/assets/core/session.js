// Who is signed in. The key stays in this tab: in memory, and in sessionStorage so that it survives a reload. It is never
// part of an address.
import { store } from "./store.js";

const PLACE = "postrider.key";

const none = { key: null, role: null, customer: null, id: null, notice: null };
export const session = store({ ...none, ...remembered() });

export function begin(key, who) {
  const known = { key, role: who.role, customer: who.customer_id ?? null, id: who.id ?? null };
  remember(known);
  session.set({ ...none, ...known });
}

// `notice`: why, where it was not the person's own wish.
export function end(notice = null) {
  remember(null);
  session.set({ ...none, notice });
}

// What a key may do here. The API decides; the page only leaves out what would be refused.
export const mayWrite = (who) => who.role !== "operator";
export const seesAll = (who) => who.role !== "customer";

// Whose key it is, is kept beside it: then a reload shows its view at once, and asks whether that still holds meanwhile.
function remembered() {
  try {
    const { key, role, customer, id } = JSON.parse(sessionStorage.getItem(PLACE)) ?? {};
    return typeof key === "string" ? { key, role: role ?? null, customer: customer ?? null, id: id ?? null } : {};
  } catch {
    return {}; // storage is turned off, or holds what is not ours
  }
}

function remember(known) {
  try {
    if (known === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, JSON.stringify(known));
  } catch {
    // It is kept in memory then.
  }
}
