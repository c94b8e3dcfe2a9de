// A grid of which only the rows in view exist.

import {
  html,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/preact-htm.js";
import { visibleRange } from "../model/filter.js";
import { isShort, stateLevel } from "../model/health.js";
import { formatOpen } from "../model/route.js";
import { useKeys, useNow } from "./hooks.js";
import { Age, State } from "./parts.js";

const ROW_HEIGHT = 30;
const SAMPLED = 400; // rows by which columns get their widths

export function Table({ label, columns, rows, order, sort, open, opened, keys, resource }) {
  const box = useRef();
  const [view, setView] = useState({ top: 0, height: 800 });
  const [cursor, setCursor] = useState(null);
  const wantsFocus = useRef(false);
  const now = useNow();
  const widths = useMemo(
    () => columns.map((column) => widthOf(column, rows)),
    [columns, rows.length > 0],
  );
  const { first, last } = visibleRange({ ...view, rowHeight: ROW_HEIGHT, count: rows.length });

  useLayoutEffect(() => {
    const measure = () => setView({ top: box.current.scrollTop, height: box.current.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);

  const move = (step) => {
    const index = rows.findIndex(({ key }) => key === cursor);
    const next = Math.min(rows.length - 1, Math.max(0, index < 0 ? 0 : index + step));
    if (!rows[next]) return;
    setCursor(rows[next].key);
    reveal(box.current, next);
    wantsFocus.current = true;
  };
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    const row = box.current.querySelector('tr[data-cursor="true"]');
    if (row) {
      row.focus({ preventScroll: true });
      wantsFocus.current = false;
    }
  });
  const chosen = () => rows.find(({ key }) => key === cursor);
  const rowActions = Object.fromEntries(
    Object.entries(keys).map(([key, action]) => [key, () => chosen() && action(chosen())]),
  );
  const page = Math.max(1, Math.floor(view.height / ROW_HEIGHT) - 2);
  const steps = {
    ArrowDown: 1,
    ArrowUp: -1,
    j: 1,
    k: -1,
    PageDown: page,
    PageUp: -page,
    Home: -rows.length,
    End: rows.length,
  };
  const moves = Object.fromEntries(
    Object.entries(steps).map(([key, step]) => [key, () => move(step)]),
  );
  useKeys({ ...moves, ...rowActions }, ".drawer");
  useEffect(() => {
    box.current.scrollTop = 0;
  }, [order?.column, order?.descending]);

  return html`<div class="grid" ref=${box}
    onScroll=${() => setView({ top: box.current.scrollTop, height: box.current.clientHeight })}>
    <table role="grid" aria-label=${label} aria-rowcount=${rows.length + 1}
      style=${{ minWidth: `${sum(widths) * 0.86}ch` }}>
      <colgroup>${widths.map(
        (width, index) => html`<col key=${index}
        style=${{ width: `${(100 * width) / sum(widths)}%` }} />`,
      )}</colgroup>
      <thead><tr aria-rowindex="1">${columns.map(
        (column) => html`<${Heading} key=${column.name}
        column=${column} order=${order} sort=${sort} />`,
      )}</tr></thead>
      <tbody>
        ${first > 0 && html`<${Spacer} key="above" rows=${first} columns=${columns.length} />`}
        ${rows.slice(first, last).map(
          (row, index) => html`<${Row} key=${row.key} row=${row} columns=${columns} now=${now}
            place=${first + index + 2}
          isCursor=${row.key === cursor || (cursor === null && first + index === 0)}
            isOpened=${opened === formatOpen({ resource: resource.id, ...row.metadata })}
          open=${() => {
            setCursor(row.key);
            open(row);
          }} focused=${() => setCursor(row.key)} />`,
        )}
        ${
          last < rows.length &&
          html`<${Spacer} key="below" rows=${rows.length - last}
          columns=${columns.length} />`
        }
      </tbody>
    </table>
  </div>`;
}

function Spacer({ rows, columns }) {
  return html`<tr class="spacer" aria-hidden="true"><td colspan=${columns}
    style=${{ height: `${rows * ROW_HEIGHT}px` }}></td></tr>`;
}

function Heading({ column, order, sort }) {
  const by = sortKey(column);
  const isSorted = order?.column === by;
  const direction = isSorted ? (order.descending ? "descending" : "ascending") : undefined;
  return html`<th scope="col" aria-sort=${direction} title=${column.description}>
    <button type="button" onClick=${() => sort(by)}>${column.name}<span class="arrow"
      aria-hidden="true">${isSorted ? (order.descending ? "▾" : "▴") : ""}</span></button>
  </th>`;
}

function sortKey({ index, name }) {
  return name === "Age" ? "age" : index;
}

function Row({ row, columns, now, place, isCursor, isOpened, open, focused }) {
  const flash = row.changed ? (row.changed % 2 ? "changed" : "changed-again") : "";
  return html`<tr class=${flash} aria-rowindex=${place} data-key=${row.key} data-cursor=${isCursor}
    tabindex=${isCursor ? 0 : -1}
    aria-selected=${isOpened} onClick=${open} onFocus=${focused}
    onKeyDown=${(event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        open();
      }
    }}>
    ${columns.map(
      (column, index) => html`<td key=${column.name} class=${index ? "" : "name"}>
      <${Cell} column=${column} row=${row} now=${now} /></td>`,
    )}
  </tr>`;
}

const STATES = new Set(["Status", "Phase", "State", "Type", "Condition", "Available"]);

function Cell({ column, row, now }) {
  if (column.index === "namespace") return row.metadata.namespace;
  if (column.name === "Age")
    return html`<${Age} time=${row.metadata.creationTimestamp} now=${now} />`;
  const value = row.cells[column.index];
  const text = value === null || value === undefined ? "" : String(value);
  if (text === "<none>" || text === "") return html`<span class="dim">–</span>`;
  if (STATES.has(column.name) && stateLevel(text)) return html`<${State} word=${text} />`;
  if (isShort(text) && row.cells[2] !== "Completed")
    return html`<span class="warn" title=${text}>${text}</span>`;
  return html`<span title=${text}>${text}</span>`;
}

/** Characters that a column should have room for. */
function widthOf(column, rows) {
  let width = column.name.length + 3;
  for (const row of rows.slice(0, SAMPLED)) {
    const text = column.index === "namespace" ? row.metadata.namespace : row.cells[column.index];
    width = Math.max(width, String(text ?? "").length + (STATES.has(column.name) ? 4 : 2));
  }
  return Math.min(width, 56);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function reveal(box, index) {
  const head = box.querySelector("thead").offsetHeight;
  const top = index * ROW_HEIGHT;
  if (top < box.scrollTop) box.scrollTop = top;
  const bottom = top + ROW_HEIGHT + head;
  if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
}
