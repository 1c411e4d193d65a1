// How an endpoint is told who sends: its authentication, its signing secret, the authorities it trusts.
import { words } from "../core/format.js";
import { html } from "../core/ui.js";
import { Area, Check, Choice, Field, Group, Text } from "../parts/field.js";

const KINDS = [
  ["none", "none: only by the signature"],
  ["basic", "basic: a user and a password"],
  ["bearer", "bearer: a token"],
  ["headers", "headers of its own"],
  ["oauth2", "OAuth 2: client credentials"],
  ["mutual_tls", "mutual TLS: a client certificate"],
];
const STYLES = [["basic", "as basic authentication"], ["body", "in the request's body"]];

export function AuthGroup({ form, set, problem, made }) {
  const put = (name) => ({ name, value: form[name], onValue: set(name), problem });
  const secret = (name) => ({ ...put(name), type: "password", autocomplete: "new-password" });
  const type = form["auth.type"];
  return html`<${Group} title="Authentication" lead="Every request is signed with the endpoint's own secret. It may ask for more.">
    ${!made && html`<${Check} label="Replace the authentication" checked=${form.withAuth} onValue=${set("withAuth")}
      hint=${form.withAuth ? "All of it is replaced, so its secrets are needed again." : `It stays as it is: ${words(type)}.`} />`}
    ${form.withAuth && html`<${Choice} label="Authentication" ...${put("auth.type")} options=${KINDS} wide />
      ${type === "basic" && html`<${Text} label="User" ...${put("auth.username")} /><${Text} label="Password" ...${secret("auth.password")} />`}
      ${type === "bearer" && html`<${Text} label="Token" ...${secret("auth.token")} wide />`}
      ${type === "headers" && html`<${Headers} form=${form} set=${set} problem=${problem} />`}
      ${type === "oauth2" && html`
        <${Text} label="Token address" ...${put("auth.token_url")} type="url" placeholder="https://" wide />
        <${Text} label="Client id" ...${put("auth.client_id")} /><${Text} label="Client secret" ...${secret("auth.client_secret")} />
        <${Text} label="Scope" ...${put("auth.scope")} hint="optional" /><${Text} label="Audience" ...${put("auth.audience")} hint="optional" />
        <${Choice} label="The client says who it is" ...${put("auth.style")} options=${STYLES} />`}
      ${type === "mutual_tls" && html`
        <${Area} label="Certificate, with those between it and its authority" ...${put("auth.certificate")} placeholder="-----BEGIN CERTIFICATE-----" />
        <${Area} label="Its private key" ...${put("auth.key")} placeholder="-----BEGIN PRIVATE KEY-----" hint="stored encrypted, and never shown again" />`}`}
    ${made && html`<${Text} label="Signing secret" ...${secret("secret")} wide placeholder="generated" hint="to bring one along: whsec_ and 24 to 64 bytes in base64" />`}
    <${Area} label="Certificate authorities" ...${put("tls.ca")} rows=${3} placeholder="-----BEGIN CERTIFICATE-----" hint="PEM; trusted in addition to the public ones" />
  <//>`;
}

// Names and values in rows. Their errors have the name of the header.
function Headers({ form, set, problem }) {
  const rows = form.headers;
  const change = (index, place, value) => set("headers")(rows.map((row, at) => (at === index ? row.with(place, value) : row)));
  return html`<${Field} label="Headers" name="auth.headers" problem=${problem} wide hint="at most 16; values are stored encrypted, and never shown again">${(id, told) => html`
    <div class="pairs" role="group" ...${told}>
      ${rows.map(([name, value], index) => html`<div key=${index}>
        <input id=${index === 0 ? id : undefined} aria-label="Header ${index + 1}, name" placeholder="x-api-key" value=${name} onInput=${(event) => change(index, 0, event.target.value)} autocomplete="off" spellcheck=${false} />
        <input aria-label="Header ${index + 1}, value" type="password" autocomplete="new-password" value=${value} onInput=${(event) => change(index, 1, event.target.value)} />
        <button type="button" class="small" aria-label="Remove header ${index + 1}" disabled=${rows.length === 1} onClick=${() => set("headers")(rows.filter((_, at) => at !== index))}>Remove</button>
      </div>`)}
      <button type="button" class="small" disabled=${rows.length >= 16} onClick=${() => set("headers")([...rows, ["", ""]])}>Another header</button>
    </div>`}
  <//>`;
}
