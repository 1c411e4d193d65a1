// A table: a caption for those who do not see it, columns that say how they are sorted, and a way to the next page.
import { html } from "../core/ui.js";
import { Sorted } from "./icons.js";

// `columns`: [{ name, title, number, cell(row), wide, sort }], `sort` being the name the API sorts by. `sorted`: that
// name, with `-` before it when descending.
export function Table({ caption, columns, rows, rowKey, sorted, onSort, rowClass, empty }) {
  return html`<div class="table" role="region" aria-label=${caption} tabindex="0">
    <table>
      <caption class="unseen">${caption}</caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<${Head} key=${column.title} column=${column} sorted=${sorted} onSort=${onSort} />`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map((row) => html`<tr key=${rowKey(row)} class=${rowClass?.(row)}>
          ${columns.map((column, index) => {
            const body = column.cell(row);
            const kind = `${column.number ? "number" : ""} ${column.wide ? "wide" : ""}`;
            return index === 0 && !column.plain
              ? html`<th scope="row" class=${kind}>${body}</th>`
              : html`<td class=${kind}>${body}</td>`;
          })}
        </tr>`)}
        ${rows.length === 0 && html`<tr><td class="empty" colspan=${columns.length}>${empty ?? "Nothing here."}</td></tr>`}
      </tbody>
    </table>
  </div>`;
}

function Head({ column, sorted, onSort }) {
  const kind = column.number ? "number" : "";
  if (!column.sort || !onSort) return html`<th scope="col" class=${kind} title=${column.hint}>${column.title}</th>`;
  const up = sorted === column.sort;
  const down = sorted === `-${column.sort}`;
  // Numbers are looked at from the largest.
  const first = column.number ? `-${column.sort}` : column.sort;
  const other = column.number ? column.sort : `-${column.sort}`;
  return html`<th scope="col" class=${kind} aria-sort=${up ? "ascending" : down ? "descending" : "none"}>
    <button class="sort" title=${column.hint} onClick=${() => onSort(sorted === first ? other : first)}>
      ${column.title}${(up || down) && html`<${Sorted} up=${up} />`}
    </button>
  </th>`;
}

// Pages by cursor: a cursor leads on only, so the ones before are remembered in `trail`.
export function Pager({ trail, next, onTrail, shown, what }) {
  if (trail.length === 0 && !next) return null;
  return html`<nav class="pager" aria-label="Pages of ${what}">
    <span class="dim">Page ${trail.length + 1}, ${shown} ${what}</span>
    <button disabled=${trail.length === 0} onClick=${() => onTrail(trail.slice(0, -1))}>Previous</button>
    <button disabled=${!next} onClick=${() => onTrail([...trail, next])}>Next</button>
  </nav>`;
}

export const cursorOf = (trail) => trail.at(-1) ?? null;
