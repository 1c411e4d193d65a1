// The actors of every instance, and how each of them is.
import { bytes, compact, count, duration, words } from "../core/format.js";
import { useLive } from "../core/live.js";
import { go, to } from "../core/route.js";
import { html, useState } from "../core/ui.js";
import { Choice } from "../parts/field.js";
import { Loaded, Unreachable } from "../parts/notice.js";
import { Number } from "../parts/number.js";
import { State } from "../parts/state.js";
import { Pager, Table, cursorOf } from "../parts/table.js";
import { Title } from "../parts/title.js";
import { LastError, Search } from "./endpoints.js";

const KINDS = [["", "all"], ...["consumer", "ingest", "router", "endpoint", "supervisor", "writer", "reader"].map((kind) => [kind, kind])];
const STATES = [["", "any"], ...["running", "idle", "paused", "disabled", "held_back", "lagging", "rereading", "retrying", "open", "half_open"].map((state) => [state, words(state)])];

export function Actors({ query }) {
  const [trail, setTrail] = useState([]);
  const search = { q: query.q, kind: query.kind, state: query.state };
  const live = useLive("actors", { ...search, limit: 100, cursor: cursorOf(trail) }, 4000);
  const change = (changes) => {
    setTrail([]);
    go(["actors"], { ...query, ...changes }, { replace: true });
  };
  return html`
    <${Title} live=${live}>Actors<//>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <${Search} value=${query.q ?? ""} onValue=${(q) => change({ q })} placeholder="part of an id" />
      <${Choice} label="Kind" value=${query.kind ?? ""} options=${KINDS} onValue=${(kind) => change({ kind })} />
      <${Choice} label="State or breaker" value=${query.state ?? ""} options=${STATES} onValue=${(state) => change({ state })} />
    </form>
    <${Loaded} live=${live} what="the actors">${(answer) => html`
      <${Unreachable} instances=${answer.unreachable} />
      <${ActorTable} actors=${answer.data} />
      <${Pager} trail=${trail} next=${answer.next_cursor} onTrail=${setTrail} shown=${answer.data.length} what="actors" />`}
    <//>`;
}

export const ActorTable = ({ actors }) => html`<${Table} caption="Actors" rows=${actors} rowKey=${({ instance, kind, id }) => `${instance} ${kind} ${id}`} columns=${COLUMNS} empty="There is no actor: nothing is to be done." />`;

const COLUMNS = [
  { title: "Actor", wide: true, cell: ({ kind, id }) => html`${kind === "endpoint" ? html`<a href=${to(["endpoints", id])}>${id}</a>` : html`<code>${id}</code>`}<small>${kind}</small>` },
  { title: "State", cell: ({ state, why, standing_for_ms: stands }) => html`<${State} of=${state} />${why && html`<small>${why}</small>`}${stands > 0 && html`<small>for ${duration(stands)}</small>`}` },
  { title: "Breaker", cell: ({ breaker, breaker_why: why, silent_for_ms: ms }) => breaker && html`<${State} of=${breaker} />${why && html`<small>${why}</small>`}${ms > 0 && html`<small>left alone for ${duration(ms)}</small>`}` },
  { title: "Queue", number: true, cell: ({ queue_events: events, queue_bytes: size }) => html`<${Number} value=${events} show=${compact} /><small>${size > 0 ? bytes(size) : ""}</small>` },
  { title: "In flight", number: true, cell: ({ in_flight: requests, in_flight_limit: limit }) => html`<${Number} value=${requests} />${limit > 0 && html`<small>of ${count(limit)}</small>`}` },
  { title: "Oldest", number: true, cell: ({ oldest_ms: ms }) => (ms ? duration(ms) : "") },
  { title: "Lag", number: true, cell: ({ lag }) => (lag === null || lag === undefined ? "" : compact(lag)) },
  { title: "Events / min", number: true, hint: "read, routed, delivered or written within the last minute", cell: (actor) => html`<${Number} value=${actor.events_last_minute} show=${compact} />` },
  { title: "Failed / min", number: true, cell: (actor) => html`<${Number} bad value=${actor.failed_last_minute} show=${compact} />` },
  { title: "Restarts", number: true, cell: ({ restarts }) => html`<${Number} bad value=${restarts} show=${count} />` },
  { title: "Last error", cell: ({ last_error: error }) => error && html`<${LastError} error=${error} />` },
  { title: "Instance", cell: ({ instance }) => html`<code class="dim">${instance ?? ""}</code>` },
];
