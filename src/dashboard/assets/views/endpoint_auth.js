// How an endpoint is told who sends: its authentication, its signing secret, the authorities it trusts. Names and words of the
// fields are those of the API.
import fields from "../core/fields.js";
import { words } from "../core/format.js";
import { html } from "../core/ui.js";
import { Area, Check, Choice, Field, Group, Text } from "../parts/field.js";

const hint = (text) => text.replace(/\.$/, "");
const KINDS = fields.auth.map(([type, title, about]) => [type, `${title}: ${hint(about)}`]);

export function AuthGroup({ form, set, problem, made }) {
  const type = form["auth.type"];
  const of = fields.auth.find(([kind]) => kind === type)?.[3] ?? {};
  const put = (name) => {
    const field = of[name.replace("auth.", "")];
    return { label: field?.title, hint: hint(field?.about ?? ""), name, value: form[name], onValue: set(name), problem };
  };
  const secret = (name) => ({ ...put(name), type: "password", autocomplete: "new-password" });
  const styles = of.style?.words.map(([word, about]) => [word, hint(about)]);
  return html`<${Group} title="Authentication" lead="Every request is signed with the endpoint's own secret. It may ask for more.">
    ${!made && html`<${Check} label="Replace the authentication" checked=${form.withAuth} onValue=${set("withAuth")}
      hint=${form.withAuth ? "All of it is replaced, so its secrets are needed again." : `It stays as it is: ${words(type)}.`} />`}
    ${form.withAuth && html`<${Choice} ...${put("auth.type")} label="Authentication" options=${KINDS} wide />
      ${type === "basic" && html`<${Text} ...${put("auth.username")} /><${Text} ...${secret("auth.password")} />`}
      ${type === "bearer" && html`<${Text} ...${secret("auth.token")} wide />`}
      ${type === "headers" && html`<${Headers} of=${of.headers} form=${form} set=${set} problem=${problem} />`}
      ${type === "oauth2" && html`
        <${Text} ...${put("auth.token_url")} type="url" placeholder="https://" wide />
        <${Text} ...${put("auth.client_id")} /><${Text} ...${secret("auth.client_secret")} />
        <${Text} ...${put("auth.scope")} placeholder="optional" /><${Text} ...${put("auth.audience")} placeholder="optional" />
        <${Choice} ...${put("auth.style")} options=${styles} />`}
      ${type === "mutual_tls" && html`
        <${Area} ...${put("auth.certificate")} placeholder="-----BEGIN CERTIFICATE-----" />
        <${Area} ...${put("auth.key")} placeholder="-----BEGIN PRIVATE KEY-----" />`}`}
    ${made && html`<${Text} ...${secret("secret")} label="Signing secret" wide placeholder="generated" hint="to bring one along: whsec_ and 24 to 64 bytes in base64" />`}
    <${Area} ...${put("tls.ca")} label="Certificate authorities" rows=${3} placeholder="-----BEGIN CERTIFICATE-----" hint="PEM; trusted in addition to the public ones" />
  <//>`;
}

// Names and values in rows. Their errors have the name of the header.
function Headers({ of, form, set, problem }) {
  const rows = form.headers;
  const change = (index, place, value) => set("headers")(rows.map((row, at) => (at === index ? row.with(place, value) : row)));
  return html`<${Field} label=${of.title} name="auth.headers" problem=${problem} wide hint="at most 16; values are stored encrypted, and never shown again">${(id, told) => html`
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
