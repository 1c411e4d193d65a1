// An endpoint's settings as the fields of a form, and back. A field has the name that the API has for it.
import { DURATION, DURATIONS, PERCENT, PLAIN, SIZE, WHOLE } from "../core/units.js";

const FIELDS = {
  url: PLAIN, description: PLAIN, mode: PLAIN, format: PLAIN, batch_format: PLAIN,
  "batch.events_max": WHOLE, "batch.wait_ms_max": DURATION, "batch.bytes_max": SIZE,
  "ordering.by": PLAIN, "ordering.on_failure": PLAIN,
  in_flight_max: WHOLE, request_timeout_ms: DURATION,
  "rate_limit.events_per_second": WHOLE, "rate_limit.burst_events": WHOLE,
  "retry.attempts_max": WHOLE, "retry.base_ms": DURATION, "retry.max_ms": DURATION, "retry.schedule_ms": DURATIONS,
  "breaker.consecutive_failures": WHOLE, "breaker.failure_ratio": PERCENT, "breaker.requests_min": WHOLE,
  "breaker.window_ms": DURATION, "breaker.open_base_ms": DURATION, "breaker.open_max_ms": DURATION,
  "tls.ca": PLAIN,
};

// What each kind of authentication takes beside its type.
export const AUTH = {
  none: [],
  basic: ["username", "password"],
  bearer: ["token"],
  headers: [],
  oauth2: ["token_url", "client_id", "client_secret", "scope", "audience", "style"],
  mutual_tls: ["certificate", "key"],
};

// What stands for a field that is left empty, as a new endpoint gets it.
export const DEFAULTS = {
  "batch.events_max": "1000", "batch.wait_ms_max": "1 s", "batch.bytes_max": "1 MiB",
  in_flight_max: "8", request_timeout_ms: "15 s",
  "retry.attempts_max": "no end", "retry.base_ms": "500 ms", "retry.max_ms": "1 h",
  "breaker.consecutive_failures": "10", "breaker.failure_ratio": "50 %", "breaker.requests_min": "20",
  "breaker.window_ms": "30 s", "breaker.open_base_ms": "1 s", "breaker.open_max_ms": "5 min",
};

// Settings as the API has them, as texts. `withAuth`: the authentication is written anew, else it is left as it is.
export function formOf(settings, withAuth = settings.auth !== undefined) {
  const form = { customer_id: settings.customer_id ?? "", uid: settings.uid ?? "", secret: settings.secret ?? "" };
  for (const [name, { write }] of Object.entries(FIELDS)) {
    const value = at(settings, name);
    form[name] = value === null || value === undefined ? "" : write(value);
  }
  form.mode ||= "stream";
  form.format ||= "envelope";
  form.batch_format ||= "json_array";
  form["ordering.on_failure"] ||= "block";
  form.schedule = form["retry.schedule_ms"] !== "";
  const auth = settings.auth ?? {};
  form.withAuth = withAuth;
  form["auth.type"] = auth.type ?? "none";
  for (const name of Object.values(AUTH).flat()) form[`auth.${name}`] = auth[name] ?? "";
  form["auth.style"] ||= "basic";
  const headers = auth.headers ? Object.entries(auth.headers) : (auth.names ?? []).map((name) => [name, ""]);
  form.headers = headers.length > 0 ? headers : [["", ""]];
  return form;
}

// The body that would write such settings: null is what takes its default. With what could not be read, by field.
export function bodyOf(form) {
  const [body, errors] = [{}, []];
  for (const [name, { read }] of Object.entries(FIELDS)) {
    const text = form[name].trim();
    try {
      put(body, name, text === "" ? null : read(text));
    } catch ({ message }) {
      errors.push({ field: name, message });
    }
  }
  if (body.ordering?.by === null) body.ordering = null;
  if (form["rate_limit.events_per_second"].trim() === "" && form["rate_limit.burst_events"].trim() === "") body.rate_limit = null;
  for (const other of form.schedule ? ["base_ms", "max_ms"] : ["schedule_ms"]) delete body.retry?.[other];
  if (form.withAuth) body.auth = authOf(form);
  const headers = form.headers.map(([name]) => name.trim().toLowerCase()).filter(Boolean);
  if (form.withAuth && form["auth.type"] === "headers" && new Set(headers).size < headers.length) {
    errors.push({ field: "auth.headers", message: "names one header twice" });
  }
  if (form.secret !== "") body.secret = form.secret;
  // What the form does not show is not what is wrong.
  const hidden = (field) => (form.mode !== "batch" && field.startsWith("batch.")) || field === (form.schedule ? "retry.base_ms" : "retry.schedule_ms") || (form.schedule && field === "retry.max_ms");
  return { body, errors: errors.filter(({ field }) => !hidden(field)) };
}

function authOf(form) {
  const type = form["auth.type"];
  const written = (AUTH[type] ?? []).map((name) => [name, form[`auth.${name}`]]).filter(([, value]) => value !== "");
  if (type !== "headers") return { type, ...Object.fromEntries(written) };
  return { type, headers: Object.fromEntries(form.headers.filter(([name, value]) => name !== "" || value !== "")) };
}

// What a PATCH has to say: what was changed, and null for what was taken out.
export function changes(before, after) {
  const changed = Object.entries(after).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]));
  const gone = Object.keys(before).filter((name) => !(name in after));
  return Object.fromEntries([...changed, ...gone.map((name) => [name, null])]);
}

// Without what says nothing, as a new endpoint is written.
export const said = (body) => Object.fromEntries(
  Object.entries(body)
    .map(([name, value]) => [name, value !== null && typeof value === "object" && !Array.isArray(value) ? said(value) : value])
    .filter(([name, value]) => value !== null && (name === "headers" || typeof value !== "object" || Object.keys(value).length > 0)),
);

const at = (settings, name) => name.split(".").reduce((value, part) => value?.[part], settings);

function put(body, name, value) {
  const [group, inner] = name.split(".");
  if (inner === undefined) body[group] = value;
  else body[group] = { ...body[group], [inner]: value };
}
