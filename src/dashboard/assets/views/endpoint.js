// One endpoint: how it is, what can be done about it, and a section for each thing it has.
import { path } from "../core/api.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { seesAll } from "../core/session.js";
import { html } from "../core/ui.js";
import { CustomerOf } from "../parts/customer.js";
import { Copy } from "../parts/copy.js";
import { Loaded } from "../parts/notice.js";
import { State, endpointState } from "../parts/state.js";
import { Title } from "../parts/title.js";
import { words } from "../core/format.js";
import { Attempts } from "./attempts.js";
import { Backlog } from "./backlog.js";
import { EndpointActions } from "./endpoint_actions.js";
import { EndpointHealth } from "./endpoint_health.js";
import { EndpointSettings } from "./endpoint_settings.js";
import { Letters } from "./letters.js";
import { SubscriptionTable } from "./subscriptions.js";

const REASONS = { api: "by someone over the API", gone: "it answered 410 Gone" };

const SECTIONS = [
  ["", "Health", EndpointHealth],
  ["attempts", "Attempts", Attempts],
  ["backlog", "Backlog", Backlog],
  ["dead-letters", "Dead letters", Letters],
  ["subscriptions", "Subscriptions", ({ endpoint, who }) => html`<${SubscriptionTable} endpointId=${endpoint.id} who=${who} />`],
  ["settings", "Settings", EndpointSettings],
];

export function Endpoint({ names, query, who }) {
  const [, id, section = ""] = names;
  const live = useLive(path("endpoints", id), null, 3000);
  const stats = useLive(path("endpoints", id, "stats"), null, 5000);
  const [, , View] = SECTIONS.find(([name]) => name === section) ?? SECTIONS[0];
  return html`
    <p class="trail"><a href=${to(["endpoints"])}>Endpoints</a></p>
    <${Title} live=${live} actions=${live.data && html`<${EndpointActions} endpoint=${live.data} who=${who} reload=${live.reload} />`}>
      ${live.data?.uid ?? id}
    <//>
    <${Loaded} live=${live} what="the endpoint">${(settings) => draw({ ...settings, health: stats.data ?? undefined })}<//>`;

  function draw(endpoint) {
    return html`
      <div class="summary">
        <${State} of=${endpointState(endpoint)} />
        ${endpoint.state !== "enabled" && endpoint.state_reason && html`<span>${REASONS[endpoint.state_reason] ?? words(endpoint.state_reason)}</span>`}
        ${seesAll(who) && html`<a href=${to(["endpoints"], { customer: endpoint.customer_id })}><${CustomerOf} id=${endpoint.customer_id} /></a>`}
        <code>${endpoint.url}</code>
        <span class="dim">${endpoint.mode}${endpoint.ordering ? `, in order by ${endpoint.ordering.by}` : ""}</span>
        <span class="dim"><code>${endpoint.id}</code> <${Copy} text=${endpoint.id} label="Copy id" /></span>
      </div>
      ${endpoint.secrets_unreadable && html`<p class="notice bad" role="status">Its secrets were sealed with another key than this service has, so nothing is sent to it, and what comes waits. It goes on
        once the service has the right key again, or its authentication and its signing secret are set again.</p>`}
      <nav class="tabs" aria-label="About this endpoint">
        ${SECTIONS.map(([name, title]) => html`<a key=${name} href=${to(["endpoints", id, name].filter(Boolean))}
          aria-current=${name === section ? "page" : undefined}>${title}${name === "dead-letters" && endpoint.health?.dead_letters > 0
            ? html` <span class="badge">${endpoint.health.dead_letters}</span>` : ""}</a>`)}
      </nav>
      <${View} endpoint=${endpoint} stats=${stats} who=${who} query=${query} reload=${live.reload} />`;
  }
}
