// All endpoints, a page at a time: searched, filtered and sorted by the service, so that there may be any number.
import { compact, duration, since } from "../core/format.js";
import { useLive } from "../core/live.js";
import { go, to } from "../core/route.js";
import { mayWrite, seesAll } from "../core/session.js";
import { html, useEffect, useRef, useState } from "../core/ui.js";
import { CustomerName, CustomerOf } from "../parts/customer.js";
import { Choice, Text } from "../parts/field.js";
import { Loaded, ProblemNotice } from "../parts/notice.js";
import { Number } from "../parts/number.js";
import { State, endpointState } from "../parts/state.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { At } from "../parts/time.js";
import { Title } from "../parts/title.js";
import { NewEndpoint } from "./endpoint_form.js";

const STATES = [["", "any"], ["enabled", "enabled"], ["paused", "paused"], ["disabled", "disabled"]];
const LIMIT = 50;

export const Endpoints = ({ query, who }) => (query.new && mayWrite(who) ? html`<${Making} query=${query} who=${who} />` : html`<${List} query=${query} who=${who} />`);

const Making = ({ query, who }) => html`
  <p class="trail"><a href=${to(["endpoints"])}>Endpoints</a></p>
  <${Title}>New endpoint<//>
  <${NewEndpoint} who=${who} customer=${query.customer} onClose=${() => go(["endpoints"], { customer: query.customer })} />`;

function List({ query, who }) {
  const [trail, setTrail] = useState([]);
  const search = { q: query.q, state: query.state, customer_id: query.customer, sort: query.sort };
  const live = useLive("endpoints", { ...search, include: "health,customer", limit: LIMIT, cursor: cursorOf(trail) }, 5000);
  const change = (changes) => {
    setTrail([]);
    go(["endpoints"], { ...query, ...changes }, { replace: true });
  };
  return html`
    <${Title} live=${live} actions=${mayWrite(who) && html`<button class="primary" onClick=${() => go(["endpoints"], { new: 1, customer: query.customer })}>New endpoint</button>`}>Endpoints<//>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <${Search} value=${query.q ?? ""} onValue=${(q) => change({ q })} />
      <${Choice} label="State" value=${query.state ?? ""} onValue=${(state) => change({ state })} options=${STATES} />
      ${query.customer && html`<p class="chip">customer <${CustomerOf} id=${query.customer} />
        <button type="button" class="plain" aria-label="Show all customers" onClick=${() => change({ customer: "" })}>×</button></p>`}
    </form>
    ${live.data && live.problem && !live.problem.isAway && html`<${ProblemNotice} problem=${live.problem} />`}
    <${Loaded} live=${live} what="the endpoints">${({ data, next_cursor: next }) => html`
      <${Table} caption="Endpoints" rows=${data} rowKey=${({ id }) => id} sorted=${query.sort} onSort=${(sort) => change({ sort })}
        columns=${columns(who)} empty=${query.q || query.state ? "No endpoint is like that." : "There are no endpoints yet."} />
      <${Pager} trail=${trail} next=${next} onTrail=${setTrail} shown=${data.length} what="endpoints" />`}
    <//>`;
}

// Asks once the typing has stopped, or the field is left: what is pressed next must mean what stands there. Whoever leaves it
// for a link goes where that leads: it must still be there when the button comes up.
export function Search({ value, onValue, label = "Search", placeholder = "name, id or address" }) {
  const [typed, setTyped] = useState(value);
  const timer = useRef(null);
  useEffect(() => {
    if (typed !== value) timer.current = setTimeout(() => onValue(typed), 250);
    return () => clearTimeout(timer.current);
  }, [typed]);
  const left = ({ relatedTarget: next }) => {
    clearTimeout(timer.current);
    if (typed !== value && !next?.closest("a")) onValue(typed);
  };
  return html`<${Text} label=${label} type="search" value=${typed} onValue=${setTyped} placeholder=${placeholder} onBlur=${left} />`;
}

function columns(who) {
  const health = (of) => (endpoint) => of(endpoint.health ?? {});
  return [
    { title: "Endpoint", wide: true, sort: "uid", cell: (endpoint) => html`<a class="name" href=${to(["endpoints", endpoint.id])}>${endpoint.uid ?? endpoint.id}</a>
      <small class="address" title=${endpoint.url}>${endpoint.url}</small>` },
    { title: "State", cell: (endpoint) => html`<${State} of=${endpointState(endpoint)} />` },
    ...(seesAll(who) ? [{ title: "Customer", cell: ({ customer_id: id, customer }) => id && html`<${CustomerName} id=${id} customer=${customer} />` }] : []),
    { title: "Mode", cell: ({ mode, ordering }) => html`${mode}${ordering && html`<small>by ${ordering.by}</small>`}` },
    { title: "Delivered / min", number: true, cell: health((of) => html`<${Number} value=${of.delivered_per_minute} show=${compact} />`) },
    { title: "Failed / min", number: true, cell: health((of) => html`<${Number} bad value=${of.failed_per_minute} show=${compact} />`) },
    { title: "Waiting", number: true, cell: health((of) => html`<${Number} value=${of.backlog_events} />${of.backlog_events > 0 && html`<small>${duration(of.backlog_oldest_ms)}</small>`}`) },
    { title: "Dead letters", number: true, cell: health((of) => html`<${Number} bad value=${of.dead_letters} />`) },
    { title: "Last error", cell: health((of) => of.last_error && html`<${LastError} error=${of.last_error} />`) },
    { title: "Changed", number: true, sort: "updated", cell: ({ updated_at: at }) => html`<${At} at=${at} />` },
  ];
}

export const LastError = ({ error }) => html`<span class="error" title=${error.excerpt}>${error.status ?? error.class}
  <small>${error.at ?? error.at_ms ? `${since(error.at ?? error.at_ms)} ago` : ""}</small></span>`;
