// A grid of which only the rows in view exist.
//
// Scrolling makes no elements: a row that leaves the view hands its element, its *slot*, to the row
// that comes into it, so that a frame costs the text of three rows and their places (rows.js).
// Rows are laid out each by itself (table.css): a table's own layout takes all rows anew.

import {
  html,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/preact-htm.js";
import { slots, visibleRange } from "../model/filter.js";
import { formatOpen } from "../model/route.js";
import { age } from "../model/time.js";
import { useKeys, useNow } from "./hooks.js";
import { flash, Row, ROW_HEIGHT, rowEvents, STATES } from "./rows.js";

const SAMPLED = 400; // rows by which columns get their widths
const SETTLED_MS = 200; // without scrolling; then the rows' elements stand in the rows' order

/**
 * `picked` are the keys of the selected rows; without `pick`, which is given the next ones, rows
 * cannot be selected. Rows that changed in a later generation than the last one shown light up.
 */
export function Table(props) {
  const { label, columns, rows, order, sort, open, opened, keys, resource, picked, pick } = props;
  const { generation } = props;
  const box = useRef();
  const [cursor, setCursor] = useState(null);
  const wantsFocus = useRef(false);
  const now = useNow();
  const widths = useMemo(
    () => columns.map((column) => widthOf(column, rows)),
    [columns, rows.length > 0],
  );
  const { range, shown, height } = useRange(box, rows.length);
  const cursorRow = () => box.current.querySelector('tr[data-cursor="true"]');
  /** Focus never stays on an element that has become another row's. */
  const holdFocus = () => {
    const focused = document.activeElement;
    const isStray = focused?.matches(".grid tbody tr") && focused.dataset.cursor !== "true";
    if (!wantsFocus.current && !isStray) return;
    const row = cursorRow();
    if (row || isStray) (row ?? box.current).focus({ preventScroll: true });
    if (row) wantsFocus.current = false;
  };
  useLayoutEffect(holdFocus);
  const shownGeneration = useRef(generation);
  useLayoutEffect(() => {
    for (const index of shown) {
      const row = rows[index];
      if (row.changed > shownGeneration.current) flash(box.current, row.key);
    }
    shownGeneration.current = generation;
  }, [generation]);

  const move = (step) => {
    const index = rows.findIndex(({ key }) => key === cursor);
    // The first arrow chooses the first row.
    const wanted = index < 0 && Math.abs(step) === 1 ? 0 : Math.max(0, index) + step;
    const next = Math.min(rows.length - 1, Math.max(0, wanted));
    if (!rows[next]) return;
    setCursor(rows[next].key);
    reveal(box.current, next);
    wantsFocus.current = true;
  };
  const chosen = () => rows.find(({ key }) => key === cursor);
  const rowActions = Object.fromEntries(
    Object.entries(keys).map(([key, action]) => [key, () => chosen() && action(chosen())]),
  );
  const latest = useRef();
  latest.current = { ...latest.current, open, rows, pick, picked, setCursor };
  const act = useMemo(() => rowEvents(latest), []);
  if (pick) rowActions[" "] = () => chosen() && act.toggle(chosen().key);
  const page = Math.max(1, Math.floor(height / ROW_HEIGHT) - 2);
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

  return html`<div class="grid" ref=${box} tabindex="-1" onScroll=${() => {
    range.follow();
    act.scroll();
  }}>
    <table role="grid" aria-label=${label} aria-rowcount=${rows.length + 1} style=${{
      minWidth: `${sum(widths) * 0.95}ch`,
      "--columns": [pick ? "2.25rem" : "", ...widths.map(share)].join(" "),
    }}>
      <thead role="rowgroup"><tr role="row" aria-rowindex="1">${
        pick && html`<${PickAll} rows=${rows} picked=${picked} pick=${pick} />`
      }${columns.map(
        (column) => html`<${Heading} key=${column.name}
        column=${column} order=${order} sort=${sort} />`,
      )}</tr></thead>
      <tbody role="rowgroup" style=${{ height: `${rows.length * ROW_HEIGHT}px` }}
        onClick=${act.click} onKeyDown=${act.keyDown} onPointerOver=${act.pointerOver}
        onFocusCapture=${holdFocus}>
        ${shown.map((index, slot) => {
          const row = rows[index];
          return html`<${Row} key=${slot} row=${row} columns=${columns} place=${index}
            age=${age(row.metadata.creationTimestamp, now)}
            isCursor=${row.key === cursor || (cursor === null && index === 0)}
            isOpened=${opened === formatOpen({ resource: resource.id, ...row.metadata })}
            isPicked=${pick ? picked.has(row.key) : undefined} />`;
        })}
      </tbody>
    </table>
  </div>`;
}

/**
 * Which rows exist: `shown` are their indices by slots, `height` is the view's, and
 * `range.follow` is told that the box has been scrolled.
 */
function useRange(box, count) {
  const [view, setView] = useState({ top: 0, height: 800, origin: 0 });
  const rangeOf = ({ top, height }) => visibleRange({ top, height, rowHeight: ROW_HEIGHT, count });
  const latest = useRef();
  latest.current = { view, rangeOf };
  const range = useMemo(() => {
    let [height, timer] = [view.height, 0];
    const settle = () => {
      const { first } = latest.current.rangeOf(latest.current.view);
      setView((before) => ({ ...before, origin: first }));
    };
    const follow = () => {
      const next = { ...latest.current.view, top: box.current.scrollTop, height };
      const [from, to] = [latest.current.view, next].map(latest.current.rangeOf);
      if (from.first !== to.first || from.last !== to.last) setView(next);
      clearTimeout(timer);
      timer = setTimeout(settle, SETTLED_MS);
    };
    const resize = ([{ contentRect }]) => {
      height = contentRect.height;
      follow();
    };
    return { follow, resize, stop: () => clearTimeout(timer) };
  }, []);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(range.resize);
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      range.stop();
    };
  }, []);
  return { range, shown: slots(rangeOf(view), view.origin), height: view.height };
}

function Heading({ column, order, sort }) {
  const by = sortKey(column);
  const isSorted = order?.column === by;
  const direction = isSorted ? (order.descending ? "descending" : "ascending") : undefined;
  return html`<th role="columnheader" scope="col" aria-sort=${direction}
    title=${column.description}>
    <button type="button" onClick=${() => sort(by)}>${column.name}<span class="arrow"
      aria-hidden="true">${isSorted ? (order.descending ? "▾" : "▴") : ""}</span></button>
  </th>`;
}

function sortKey({ index, name }) {
  return name === "Age" ? "age" : index;
}

function PickAll({ rows, picked, pick }) {
  const isAll = rows.length > 0 && rows.every(({ key }) => picked.has(key));
  return html`<th role="columnheader" scope="col" class="pick"><input type="checkbox"
    aria-label="Select all rows" checked=${isAll}
    onChange=${() => pick(new Set(isAll ? [] : rows.map(({ key }) => key)))} />
  </th>`;
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
