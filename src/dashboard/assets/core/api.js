// The REST API: one function, and its errors as RFC 9457 problems.
import { parseExact } from "./exact.js";
import { end, session } from "./session.js";
import { store } from "./store.js";

// Since when the service does not answer; null while it does.
export const awaySince = store(null);

export class Problem extends Error {
  constructor(status, { code = "unknown", title = "", detail = "", errors = [] } = {}) {
    super(detail || title || `the answer was ${status}`);
    Object.assign(this, { status, code, title, detail, errors });
  }

  // The service does not answer, or cannot at the moment: what was shown before may be shown on.
  get isAway() {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }

  // This service has no such operation: it is of another version than the page.
  get isNotAvailable() {
    return this.status === 405 || (this.status === 404 && this.detail === "there is no such path");
  }
}

const TIMEOUT_MS = 20_000;

// `query`: what is undefined, null or "" is left out. `match`: the ETag that must still hold.
export async function call(method, path, { query, body, match, signal, key = session.get().key } = {}) {
  const url = new URL(`v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = { authorization: `Bearer ${key}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  if (match) headers["if-match"] = match;
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const options = {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    cache: "no-store",
    credentials: "omit",
  };
  // What producers wrote must not be changed by looking at it.
  const parse = path.includes("dead-letters") ? parseExact : JSON.parse;
  let answer, text;
  try {
    // What the first view wants was asked for before it could.
    const early = method === "GET" ? window.postriderEarly.take(url.href, key) : undefined;
    ({ answer, text } = await (early ?? answered(url, options)));
    signal?.throwIfAborted();
  } catch (error) {
    if (signal?.aborted) throw error;
    awaySince.set(awaySince.get() ?? Date.now());
    throw new Problem(0, { code: "no_answer", title: "No answer", detail: "Postrider does not answer." });
  }
  awaySince.set(null);
  return read(answer, text, key, parse);
}

async function answered(url, options) {
  const answer = await fetch(url, options);
  return { answer, text: await answer.text() };
}

function read(answer, text, key, parse) {
  let value = null;
  try {
    value = text === "" ? null : parse(text);
  } catch {
    throw new Problem(answer.ok ? 0 : answer.status, { title: "The answer is not JSON", detail: text.slice(0, 200) });
  }
  if (answer.ok) return value;
  if (answer.status === 401 && key === session.get().key) end("This key is not known any more. Sign in again.");
  throw new Problem(answer.status, value ?? {});
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, body = {}) => call("POST", path, { body });

// A path of names, each escaped.
export const path = (...names) => names.map(encodeURIComponent).join("/");
