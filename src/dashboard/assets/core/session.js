// Who is signed in. The key stays in this tab: in memory, and in sessionStorage so that it survives a reload. It is never
// part of an address.
import { store } from "./store.js";

const PLACE = "postrider.key";

const none = { key: null, role: null, customer: null, notice: null };
export const session = store({ ...none, key: remembered() });

export function begin(key, who) {
  remember(key);
  session.set({ key, role: who.role, customer: who.customer_id ?? null, name: who.name ?? null, notice: null });
}

// `notice`: why, where it was not the person's own wish.
export function end(notice = null) {
  remember(null);
  session.set({ ...none, notice });
}

// What a key may do here. The API decides; the page only leaves out what would be refused.
export const mayWrite = (who) => who.role !== "operator";
export const seesAll = (who) => who.role !== "customer";

function remembered() {
  try {
    return sessionStorage.getItem(PLACE);
  } catch {
    return null; // storage is turned off
  }
}

function remember(key) {
  try {
    if (key === null) sessionStorage.removeItem(PLACE);
    else sessionStorage.setItem(PLACE, key);
  } catch {
    // It is kept in memory then.
  }
}
