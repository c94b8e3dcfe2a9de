// The rows of a list: cells as text, and one handler of each event for all of them.

import { Component, html } from "../vendor/preact-htm.js";
import { isShort, stateLevel } from "../model/health.js";

export const ROW_HEIGHT = 30;
export const STATES = new Set(["Status", "Phase", "State", "Type", "Condition", "Available"]);

/** Drawn again only when something of it has changed: scrolling changes few rows. */
export class Row extends Component {
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render({ row, columns, age, place, isCursor, isOpened, isPicked }) {
    return html`<tr role="row" aria-rowindex=${place + 2} data-key=${row.key}
      data-cursor=${isCursor} tabindex=${isCursor ? 0 : -1} aria-selected=${isPicked || isOpened}
      style=${{ transform: `translateY(${place * ROW_HEIGHT}px)` }} data-picked=${isPicked}>
      ${
        isPicked !== undefined &&
        html`<td role="gridcell" class="pick"><input type="checkbox" tabindex="-1"
          aria-label=${`Select ${row.key}`} checked=${isPicked} /></td>`
      }
      ${columns.map((column, index) => {
        const { text, kind } = cell({ column, row, age });
        return html`<td role="gridcell" key=${column.name} data-column=${column.name}
          class=${index ? kind : "name"}>${text}</td>`;
      })}
    </tr>`;
  }
}

/** The text of a cell, and the class that says what it means. */
function cell({ column, row, age }) {
  if (column.index === "namespace") return { text: row.metadata.namespace, kind: "" };
  if (column.name === "Age") return { text: age, kind: "" };
  const value = row.cells[column.index];
  const text = value === null || value === undefined ? "" : String(value);
  if (text === "<none>" || text === "") return { text: "–", kind: "dim" };
  if (STATES.has(column.name)) {
    const level = stateLevel(text);
    if (level) return { text, kind: `level ${level}` };
  }
  return { text, kind: isShort(text) && row.cells[2] !== "Completed" ? "warn" : "" };
}

/** What happens to rows; `latest` has the table's present values. */
export function rowEvents(latest) {
  const rowOf = (key) => latest.current.rows.find((row) => row.key === key);
  const toggle = (key, { toLast = false } = {}) => {
    const { rows, picked, pick, last } = latest.current;
    const next = new Set(picked);
    const [from, to] = [last, key].map((one) => rows.findIndex((row) => row.key === one));
    const range = toLast && from >= 0 ? rows.slice(Math.min(from, to), Math.max(from, to) + 1) : [];
    const adds = !picked.has(key);
    for (const one of [key, ...range.map((row) => row.key)]) next[adds ? "add" : "delete"](one);
    latest.current.last = key;
    pick(next);
  };
  const open = (key) => {
    latest.current.setCursor(key);
    latest.current.open(rowOf(key));
  };
  return {
    toggle,
    click: (event) => {
      const { target, shiftKey } = event;
      const key = target.closest("tr")?.dataset.key;
      if (!key) return;
      if (!target.closest(".pick")) open(key);
      else if (target.type === "checkbox") toggle(key, { toLast: shiftKey });
    },
    keyDown: (event) => {
      const key = event.target.closest("tr")?.dataset.key;
      if (event.key !== "Enter" || !key) return;
      event.preventDefault();
      open(key);
    },
    pointerOver: ({ target }) => {
      const row = rowOf(target.closest("tr")?.dataset.key);
      if (!row || !target.dataset.column) return;
      target.title = wholeText(target, row);
      latest.current.titled = target;
    },
    scroll: () => latest.current.titled?.removeAttribute("title"), // it may be another row's now
  };
}

/** What a cell shows in short, or not all of. */
function wholeText(target, row) {
  if (target.dataset.column === "Age")
    return new Date(row.metadata.creationTimestamp).toLocaleString();
  return target.scrollWidth > target.clientWidth ? target.textContent : "";
}

/** Lights the row up once: it has changed. */
export function flash(grid, key) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const row = grid.querySelector(`tr[data-key="${CSS.escape(key)}"]`);
  const ground = getComputedStyle(grid).getPropertyValue("--accent-ground");
  for (const td of row?.cells ?? [])
    td.animate([{ background: ground }, {}], { duration: 1200, easing: "ease-out" });
}
