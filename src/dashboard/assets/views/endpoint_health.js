// How one endpoint is doing: its numbers, its last error, its actor on every instance.
import { path } from "../core/api.js";
import { bytes, compact, count, duration, rate, words } from "../core/format.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { useTrace } from "../core/trace.js";
import { html } from "../core/ui.js";
import { Facts } from "../parts/facts.js";
import { Figure } from "../parts/figure.js";
import { Loaded, Unreachable } from "../parts/notice.js";
import { Plot, WHOLE } from "../parts/plot.js";
import { At } from "../parts/time.js";
import { ActorTable } from "./actors.js";
import { EndpointCounts } from "./endpoint_counts.js";

export function EndpointHealth({ endpoint, stats }) {
  const trace = useTrace(endpoint.id, stats, ({ backlog }) => [backlog?.events]);
  return html`
    <${Loaded} live=${stats} what="its numbers">${(now) => html`<${Numbers} now=${now} trace=${trace} endpoint=${endpoint} />`}<//>
    <${ItsActors} id=${endpoint.id} />`;
}

function Numbers({ now, trace, endpoint }) {
  const { delivered = {}, failed_attempts: failed = {}, duration_ms: took = {}, queue = {}, backlog = {} } = now;
  return html`
    <${Unreachable} instances=${now.unreachable} />
    <dl class="figures">
      <${Figure} name="Delivered" value=${compact(delivered.last_minute)} unit="last min" note="${rate(delivered.per_minute_15)} / min over 15" />
      <${Figure} name="Failed attempts" value=${compact(failed.last_minute)} unit="last min" note="${rate(failed.per_minute_15)} / min over 15" mood=${failed.last_minute > 0 ? "warn" : ""} />
      <${Figure} name="Its answers take" value=${duration(took.p50)} unit="p50" note="p99 ${duration(took.p99)}" />
      <${Figure} name="In memory" value=${compact(queue.events)} unit="events" note="${bytes(queue.bytes)} · ${count(queue.in_flight)}${queue.in_flight_limit > 0 ? ` of ${count(queue.in_flight_limit)}` : ""} in flight" />
      <${Figure} name="Waiting" value=${compact(backlog.events)} unit="events" note=${backlog.events > 0 ? `oldest ${duration(backlog.oldest_ms)}` : ""} mood=${backlog.events > 0 ? "warn" : ""} />
      <${Figure} name="Dead letters" value=${compact(now.dead_letters)} unit="" mood=${now.dead_letters > 0 ? "bad" : ""} />
      <${Figure} name="Breaker" value=${words(now.breaker)} unit="" mood=${now.breaker && now.breaker !== "closed" ? "bad" : ""} />
    </dl>
    ${now.silent_until && html`<p class="dim">Next try at <${At} at=${now.silent_until} />.</p>`}
    ${now.standing && html`<p class="quote">Nothing has ended since <${At} at=${now.standing.since} /> although something waits:
      ${now.standing.words} ${now.standing.excerpt && html`<code>${now.standing.excerpt}</code>`}</p>`}
    <div class="plots">
      <${EndpointCounts} id=${endpoint.id} />
      <${Plot} title="Waiting in its backlog" span="since this page was opened" times=${trace.times} show=${compact} steps=${WHOLE} series=${[{ label: "events", colour: "warn", values: trace.values[0] ?? [] }]} />
    </div>
    <div class="groups">
      <section><h2>Last error</h2>${now.last_error
        ? html`<p class="quote"><strong>${now.last_error.status ?? words(now.last_error.class)}</strong>
            <span class="dim"><${At} at=${now.last_error.at} />, ${words(now.last_error.class)}</span>
            ${now.last_error.excerpt && html`<code>${now.last_error.excerpt}</code>`}</p>
          <p><a href=${to(["endpoints", endpoint.id, "attempts"])}>All attempts</a></p>`
        : html`<p class="dim">None since these instances started.</p>`}</section>
      <section><h2>Attempts since the instances started</h2>
        <${Facts} of=${[
          ["Delivered events", count(delivered.since_start)],
          ["Last success", now.last_success_at && html`<${At} at=${now.last_success_at} />`],
          ...Object.entries(now.attempts_by_class ?? {}).map(([name, number]) => [words(name), count(number)]),
        ]} /></section>
    </div>`;
}

function ItsActors({ id }) {
  const live = useLive(path("actors", id), null, 5000);
  return html`<section><h2>Its actors</h2>
    <${Loaded} live=${live} what="the actors" none="It has no actor at the moment: there is nothing to do.">${({ data }) => html`<${ActorTable} actors=${data} />`}<//>
  </section>`;
}
