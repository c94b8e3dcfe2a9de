// A grid of which only the rows in view exist.
//
// Rows are placed by transforms and laid out each by itself (table.css): a table's own layout takes
// all rows anew for each that comes into view, which is most of a frame.

import {
  Component,
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
import { age } from "../model/time.js";
import { useKeys, useNow } from "./hooks.js";
import { State } from "./parts.js";

const [ROW_HEIGHT, STEP] = [30, 8];
const SAMPLED = 400; // rows by which columns get their widths

/**
 * `picked` are the keys of the selected rows; without `pick`, which is given the next ones, rows
 * cannot be selected.
 */
export function Table(props) {
  const { label, columns, rows, order, sort, open, opened, keys, resource, picked, pick } = props;
  const box = useRef();
  const [view, setView] = useState({ top: 0, height: 800 });
  const [cursor, setCursor] = useState(null);
  const wantsFocus = useRef(false);
  const now = useNow();
  const widths = useMemo(
    () => columns.map((column) => widthOf(column, rows)),
    [columns, rows.length > 0],
  );
  const rangeOf = ({ top, height }) =>
    visibleRange({ top, height, rowHeight: ROW_HEIGHT, count: rows.length, step: STEP });
  const { first, last } = rangeOf(view);
  const range = useRef();
  range.current = { first, last, rangeOf };
  const measure = () => {
    const { scrollTop: top, clientHeight: height } = box.current;
    const next = range.current.rangeOf({ top, height });
    if (next.first !== range.current.first || next.last !== range.current.last)
      setView({ top, height });
  };

  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => measure());
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
  const latest = useRef();
  latest.current = { open, rows, pick, picked, last: latest.current?.last };
  const act = useMemo(() => rowEvents(latest, setCursor), []);
  if (pick) rowActions[" "] = () => chosen() && act.toggle(chosen().key);
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
    onScroll=${measure}>
    <table role="grid" aria-label=${label} aria-rowcount=${rows.length + 1} style=${{
      minWidth: `${sum(widths) * 0.86}ch`,
      "--columns": [pick ? "2.25rem" : "", ...widths.map(share)].join(" "),
    }}>
      <thead role="rowgroup"><tr role="row" aria-rowindex="1">${
        pick && html`<${PickAll} rows=${rows} picked=${picked} pick=${pick} />`
      }${columns.map(
        (column) => html`<${Heading} key=${column.name}
        column=${column} order=${order} sort=${sort} />`,
      )}</tr></thead>
      <tbody role="rowgroup" style=${{ height: `${rows.length * ROW_HEIGHT}px` }}>
        ${rows.slice(first, last).map(
          (row, index) => html`<${Row} key=${row.key} row=${row} columns=${columns} act=${act}
            age=${age(row.metadata.creationTimestamp, now)} place=${first + index}
            isCursor=${row.key === cursor || (cursor === null && first + index === 0)}
            isOpened=${opened === formatOpen({ resource: resource.id, ...row.metadata })}
            isPicked=${pick ? picked.has(row.key) : undefined} />`,
        )}
      </tbody>
    </table>
  </div>`;
}

function Heading({ column, order, sort }) {
  const by = sortKey(column);
  const isSorted = order?.column === by;
  const direction = isSorted ? (order.descending ? "descending" : "ascending") : undefined;
  return html`<th role="columnheader" scope="col" aria-sort=${direction} title=${column.description}>
    <button type="button" onClick=${() => sort(by)}>${column.name}<span class="arrow"
      aria-hidden="true">${isSorted ? (order.descending ? "▾" : "▴") : ""}</span></button>
  </th>`;
}

function sortKey({ index, name }) {
  return name === "Age" ? "age" : index;
}

/** What happens to rows, the same for as long as the table is there. */
function rowEvents(latest, setCursor) {
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
  return {
    toggle,
    focus: setCursor,
    open: (key) => {
      setCursor(key);
      latest.current.open(rowOf(key));
    },
  };
}

function PickAll({ rows, picked, pick }) {
  const isAll = rows.length > 0 && rows.every(({ key }) => picked.has(key));
  return html`<th role="columnheader" scope="col" class="pick"><input type="checkbox" aria-label="Select all rows"
    checked=${isAll} onChange=${() => pick(new Set(isAll ? [] : rows.map(({ key }) => key)))} />
  </th>`;
}

/** Drawn again only when something of it has changed: scrolling changes no row. */
class Row extends Component {
  shouldComponentUpdate(next) {
    return Object.keys(next).some((name) => next[name] !== this.props[name]);
  }

  render({ row, columns, age: shownAge, place, isCursor, isOpened, isPicked, act }) {
    const flash = row.changed ? (row.changed % 2 ? "changed" : "changed-again") : "";
    const enter = (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      act.open(row.key);
    };
    return html`<tr role="row" class=${flash} aria-rowindex=${place + 2} data-key=${row.key}
      data-cursor=${isCursor} tabindex=${isCursor ? 0 : -1} aria-selected=${isPicked || isOpened}
      style=${{ top: `${place * ROW_HEIGHT}px` }}
      data-picked=${isPicked} onClick=${() => act.open(row.key)}
      onFocus=${() => act.focus(row.key)} onKeyDown=${enter}>
      ${isPicked !== undefined && html`<${Pick} row=${row} isPicked=${isPicked} act=${act} />`}
      ${columns.map(
        (column, index) => html`<td role="gridcell" key=${column.name} class=${index ? "" : "name"}>
        ${cell({ column, row, shownAge })}</td>`,
      )}
    </tr>`;
  }
}

function Pick({ row, isPicked, act }) {
  const click = (event) => {
    event.stopPropagation();
    if (event.target.type === "checkbox") act.toggle(row.key, { toLast: event.shiftKey });
  };
  return html`<td role="gridcell" class="pick" onClick=${click}><input type="checkbox" tabindex="-1"
    aria-label=${`Select ${row.key}`} checked=${isPicked} /></td>`;
}

const STATES = new Set(["Status", "Phase", "State", "Type", "Condition", "Available"]);

function cell({ column, row, shownAge }) {
  if (column.index === "namespace") return row.metadata.namespace;
  if (column.name === "Age") {
    const time = row.metadata.creationTimestamp;
    return html`<time datetime=${time} title=${new Date(time).toLocaleString()}>${shownAge}</time>`;
  }
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

function share(width) {
  return `minmax(0, ${width}fr)`;
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
