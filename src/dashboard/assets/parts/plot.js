// A plot over time, in the page's own colours.
import { html, useEffect, useLayoutEffect, useRef } from "../core/ui.js";
import uPlot from "../vendor/uplot.js";

const HEIGHT = 156;

// Needs two points in time; until then it says that it waits. `series`: [{ label, values, colour: "good", sum }], `sum` being
// told instead of the newest value; `show(value)` writes a value; `times` in milliseconds; `steps`: between the lines
// of a grid, WHOLE where there is no half of what is counted. What is between the tags stands beside the title.
export function Plot({ title, children, ...plot }) {
  return html`<figure class="plot">
    <figcaption>
      <h2>${title}</h2>
      ${children}
      ${plot.times.length > 1 && html`<span class="legend">
        ${plot.series.map(({ label, values, colour, sum }) => html`<span key=${label}>
          <i class="swatch ${colour}"></i>${label} <b>${sum ?? plot.show(values.findLast((value) => value !== null && value !== undefined))}</b>
        </span>`)}
      </span>`}
    </figcaption>
    ${plot.times.length > 1 ? html`<${Lines} title=${title} ...${plot} />` : html`<p class="empty">The first numbers come within seconds.</p>`}
  </figure>`;
}

function Lines({ title, span = "the last 15 minutes", times, series, show, steps }) {
  const [place, plot] = [useRef(null), useRef(null)];
  const data = [times.map((ms) => ms / 1000), ...series.map(({ values }) => values)];
  const newest = useRef(data);
  newest.current = data;
  const shape = series.map(({ label, colour }) => `${label} ${colour}`).join();
  useLayoutEffect(() => {
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(place.current, series, show, steps), newest.current, place.current);
    };
    make();
    // The lines' colours are read when it is made.
    addEventListener("themechange", make);
    const sizes = new ResizeObserver(([{ target }]) => plot.current?.setSize({ width: target.clientWidth, height: HEIGHT }));
    sizes.observe(place.current);
    return () => {
      removeEventListener("themechange", make);
      sizes.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);
  // What is counted changes while its time is the same.
  useEffect(() => plot.current?.setData(data), [times[0], times.at(-1), times.length, ...series.flatMap(({ values }) => values.slice(-2))]);
  const told = series.map(({ label, values, sum }) => {
    const known = values.filter((value) => value !== null && value !== undefined);
    return `${label}: ${sum === undefined ? `now ${show(known.at(-1))}` : `${sum} in all`}, at most ${show(known.length > 0 ? Math.max(...known) : null)}`;
  });
  return html`<div ref=${place} role="img" aria-label="${title}, ${span}. ${told.join(". ")}"></div>`;
}

function options(place, series, show, steps) {
  const style = getComputedStyle(place);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("ink-2"), font: "11px system-ui, sans-serif", ticks: { show: false }, border: { show: false } };
  const grid = { stroke: colour("rule"), width: 1 };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [8, 30, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, low, high) => [0, high > 0 ? high * 1.15 : 1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 96, size: 24, values: clock },
      { ...axis, grid, space: 36, size: 58, incrs: steps, values: (_, ticks) => once(ticks.map((tick) => show(tick))) },
    ],
    series: [
      {},
      ...series.map(({ label, colour: name }, index) => ({
        label,
        stroke: colour(name),
        width: 1.75,
        fill: index === 0 ? withAlpha(colour(name)) : undefined,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    plugins: [tip(show)],
  };
}

// 1, 2, 5, 10 …
export const WHOLE = [...Array(16).keys()].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
// Of lengths of time, in milliseconds: no 33 minutes.
const UNITS = [[1000, [1, 2, 5, 10, 15, 30]], [60_000, [1, 2, 5, 10, 15, 30]], [3_600_000, [1, 2, 3, 6, 12]], [86_400_000, WHOLE]];
export const DURATIONS = [0.1, 0.2, 0.5, ...WHOLE.filter((step) => step < 1000), ...UNITS.flatMap(([unit, steps]) => steps.map((step) => step * unit))];

const minutes = { hour: "2-digit", minute: "2-digit" };
const days = { day: "2-digit", month: "short" };
const DAY_S = 86_400;

function clock(plot, ticks) {
  const { min, max } = plot.scales.x;
  const shape = max - min > 2 * DAY_S ? days : max - min > 300 ? minutes : { ...minutes, second: "2-digit" };
  return once(ticks.map((at) => new Date(at * 1000).toLocaleString("en-GB", shape)));
}

// Small numbers of whole things would stand at several lines.
const once = (labels) => labels.map((label, index) => (label === labels[index - 1] ? "" : label));

// The style sheet registers its colours, so the browser gives them as rgb(r, g, b).
const withAlpha = (colour) => (colour.startsWith("rgb(") ? colour.replace("rgb(", "rgba(").replace(")", ", 0.1)") : undefined);

// What the lines are worth under the pointer.
function tip(show) {
  let box;
  return {
    hooks: {
      init(plot) {
        box = document.createElement("div");
        box.className = "tip";
        plot.over.append(box);
      },
      setCursor(plot) {
        const { idx, left } = plot.cursor;
        box.hidden = idx === null || idx === undefined || left < 0;
        if (box.hidden) return;
        const today = plot.scales.x.max - plot.scales.x.min < DAY_S / 2;
        const at = new Date(plot.data[0][idx] * 1000).toLocaleString("en-GB", today ? { timeStyle: "medium" } : { ...days, ...minutes });
        const lines = plot.series.slice(1).map((one, index) => `${one.label} ${show(plot.data[index + 1][idx])}`);
        box.textContent = [at, ...lines].join("\n");
        const right = left > plot.over.clientWidth / 2;
        box.style.left = right ? "" : `${left + 10}px`;
        box.style.right = right ? `${plot.over.clientWidth - left + 10}px` : "";
      },
    },
  };
}
