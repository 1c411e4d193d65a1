// Everything at a glance: what flows, what waits, what is wrong.
import { bytes, change, compact, count, duration, rate } from "../core/format.js";
import { useLive } from "../core/live.js";
import { to } from "../core/route.js";
import { html } from "../core/ui.js";
import { Figure } from "../parts/figure.js";
import { Loaded, Unreachable } from "../parts/notice.js";
import { DURATIONS, Plot, WHOLE } from "../parts/plot.js";
import { State } from "../parts/state.js";
import { Table } from "../parts/table.js";
import { At } from "../parts/time.js";
import { Title } from "../parts/title.js";

export function Overview() {
  const live = useLive("overview", null, 5000);
  return html`
    <${Title} live=${live}>Overview<//>
    <${Loaded} live=${live} what="the overview">${(now) => html`
      <${Unreachable} instances=${now.unreachable} />
      <${Standing} standing=${now.standing ?? []} />
      <${Figures} now=${now} />
      <${Plots} history=${now.history ?? []} />
      <div class="beside">
        <${Topics} topics=${now.topics ?? []} />
        <div>
          <${Breakers} breakers=${now.breakers} endpoints=${now.endpoints} />
          <${Instances} instances=${now.instances ?? []} />
        </div>
      </div>`}
    <//>`;
}

const Standing = ({ standing }) => standing.map(({ topic, why, words, partitions, for_ms: ms, lag }) => html`
  <p class="notice bad" role="alert" key="${topic} ${why}">
    <b>${count(partitions.length)} ${partitions.length === 1 ? "partition" : "partitions"} of <code>${topic}</code></b>
    ${" "}are stalled for ${duration(ms)} (${why.replaceAll("_", " ")}): ${words}. ${compact(lag)} events wait.
  </p>`);

function Figures({ now }) {
  const worst = (now.topics ?? []).reduce((most, topic) => Math.max(most, topic.oldest_uncommitted_ms ?? 0), 0);
  const lag = (now.topics ?? []).reduce((sum, topic) => sum + (topic.lag ?? 0), 0);
  return html`<dl class="figures">
    <${Figure} name="Read" value=${rate(now.events_in_per_second)} unit="events / s" />
    <${Figure} name="Delivered" value=${rate(now.delivered_per_second)} unit="/ s" />
    <${Figure} name="Failed attempts" value=${rate(now.failed_attempts_per_second)} unit="/ s" mood=${now.failed_attempts_per_second > 0 ? "warn" : ""} />
    <${Figure} name="Latency" value=${duration(now.latency_ms?.p50)} unit="p50" note="p99 ${duration(now.latency_ms?.p99)}" />
    <${Figure} name="Lag" value=${compact(lag)} unit="events" note="oldest ${duration(worst)}${now.flow?.is_held_back ? " · read as fast as it is delivered" : ""}" mood=${now.flow?.is_held_back ? "warn" : ""} />
    <${Figure} name="Waiting" value=${compact(now.backlog?.events)} unit="events" note="${change(now.backlog?.change_per_minute)} · ${bytes(now.backlog?.bytes)}"
      mood=${now.backlog?.change_per_minute > 0.5 ? "warn" : ""} />
    <${Figure} name="Dead letters" value=${compact(now.dead_letters?.total)} unit="" note=${change(now.dead_letters?.change_per_minute)}
      mood=${now.dead_letters?.change_per_minute > 0.5 ? "bad" : ""} />
  </dl>`;
}

function Plots({ history }) {
  const times = history.map(({ at }) => at);
  const of = (name) => history.map((step) => step[name] ?? null);
  return html`<div class="plots">
    <${Plot} title="Events per second" times=${times} show=${rate} series=${[
      { label: "delivered", colour: "accent", values: of("delivered_per_second") },
      { label: "read", colour: "ink-2", values: of("events_in_per_second") },
      { label: "failed", colour: "bad", values: of("failed_attempts_per_second") },
    ]} />
    <${Plot} title="From Kafka to delivered" times=${times} show=${duration} steps=${DURATIONS} series=${[
      { label: "p99", colour: "warn", values: of("latency_p99_ms") },
      { label: "p50", colour: "accent", values: of("latency_p50_ms") },
    ]} />
    <${Plot} title="Waiting in the backlog" times=${times} show=${compact} steps=${WHOLE} series=${[
      { label: "events", colour: "warn", values: of("backlog_events") },
    ]} />
    <${Plot} title="Lag and dead letters" times=${times} show=${compact} steps=${WHOLE} series=${[
      { label: "lag", colour: "accent", values: of("lag") },
      { label: "dead letters", colour: "bad", values: of("dead_letters") },
    ]} />
  </div>`;
}

const Topics = ({ topics }) => html`<section>
  <h2>Topics</h2>
  <${Table} caption="Topics" rows=${topics} rowKey=${({ topic }) => topic} empty="No partitions are assigned." columns=${[
    { title: "Topic", cell: ({ topic }) => html`<code>${topic}</code>` },
    { title: "Partitions", number: true, cell: ({ partitions }) => count(partitions) },
    { title: "Read / s", number: true, cell: ({ in_per_second: value }) => rate(value) },
    { title: "Lag", number: true, cell: ({ lag }) => compact(lag) },
    { title: "Oldest not committed", number: true, cell: ({ oldest_uncommitted_ms: ms }) => duration(ms) },
  ]} />
</section>`;

const SEGMENTS = [["closed", "closed"], ["half_open", "half open"], ["open", "open"]];

function Breakers({ breakers = {}, endpoints = {} }) {
  const all = SEGMENTS.reduce((sum, [name]) => sum + (breakers[name] ?? 0), 0);
  return html`<section>
    <h2>Breakers</h2>
    <svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
      ${SEGMENTS.map(([name], index) => {
        const before = SEGMENTS.slice(0, index).reduce((sum, [other]) => sum + (breakers[other] ?? 0), 0);
        const [x, width] = all > 0 ? [(before / all) * 100, ((breakers[name] ?? 0) / all) * 100] : [0, 0];
        return html`<rect key=${name} class=${name} x=${x} y="0" width=${width} height="1" />`;
      })}
    </svg>
    <ul class="counts">
      ${SEGMENTS.map(([name, title]) => html`<li key=${name}><${State} of=${name} label=${title} /> <b>${count(breakers[name])}</b></li>`)}
    </ul>
    <h2>Endpoints</h2>
    <ul class="counts">
      ${["enabled", "paused", "disabled"].map((name) => html`<li key=${name}>
        <a href=${to(["endpoints"], { state: name })}><${State} of=${name} /> <b>${count(endpoints[name])}</b></a>
      </li>`)}
    </ul>
  </section>`;
}

const Instances = ({ instances }) => html`<section>
  <h2>Instances</h2>
  <${Table} caption="Instances" rows=${instances} rowKey=${({ id }) => id} empty="None has told of itself yet." columns=${[
    { title: "Instance", cell: ({ id }) => html`<code>${id}</code>` },
    { title: "Version", cell: ({ version }) => version },
    { title: "Since", cell: ({ started_at: at }) => html`<${At} at=${at} />` },
    { title: "Seen", cell: ({ seen_at: at }) => html`<${At} at=${at} />` },
  ]} />
</section>`;
