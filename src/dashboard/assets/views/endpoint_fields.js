// An endpoint's settings as the fields of a form, and back. A field has the name that the API has for it.
import fields from "../core/fields.js";
import { DURATION, DURATIONS, PERCENT, PLAIN, SIZE, WHOLE } from "../core/units.js";

// How a field is written: by its kind, and by the unit in its name.
function unitOf(name, { kind }) {
  if (kind === "array") return DURATIONS;
  if (kind === "number") return PERCENT;
  if (kind !== "integer") return PLAIN;
  if (name.endsWith("_ms") || name.includes("_ms_")) return DURATION;
  return name.includes("bytes") ? SIZE : WHOLE;
}

const FIELDS = { url: PLAIN, ...Object.fromEntries(Object.entries(fields.endpoint).map(([name, field]) => [name, unitOf(name, field)])) };

// A value of a field as people write it.
export const shown = (name, value) => FIELDS[name].write(value);

// Fields of each kind of authentication that are single values.
const AUTH = Object.fromEntries(fields.auth.map(([type, , , of]) => [type, Object.keys(of).filter((name) => name !== "type" && name !== "headers")]));

// What stands for a field that is left empty, as a new endpoint gets it.
export const DEFAULTS = Object.fromEntries(
  Object.entries(fields.endpoint)
    .filter(([, { default: value, words }]) => value !== null && words.length === 0)
    .map(([name, { default: value }]) => [name, shown(name, value)]),
);

// Settings as the API has them, as texts. `withAuth`: the authentication is written again, else it is left as it is.
export function formOf(settings, withAuth = settings.auth !== undefined) {
  const form = { customer_id: settings.customer_id ?? "", uid: settings.uid ?? "", secret: settings.secret ?? "" };
  for (const [name, { write }] of Object.entries(FIELDS)) {
    const value = at(settings, name);
    form[name] = value === null || value === undefined ? "" : write(value);
  }
  for (const [name, { default: value, words }] of Object.entries(fields.endpoint)) if (words.length > 0 && name !== "ordering.by") form[name] ||= value ?? words[0][0];
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
