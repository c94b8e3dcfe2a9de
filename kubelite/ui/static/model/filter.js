// Which rows a filter shows, and in which order. Pure.
//
// Words of a filter must all be in the row's cells; the rest are label selectors as kubectl's:
// `key=value`, `key!=value`, `key in (a, b)`, `key notin (a, b)`, `!key`.

const KEY = String.raw`[A-Za-z0-9][\w./-]*`;
const SET = new RegExp(String.raw`(${KEY})\s+(in|notin)\s+\(([^)]*)\)`, "g");
const REQUIREMENT = new RegExp(String.raw`^(${KEY})(!=|==|=)([\w.-]*)$`);
const ABSENT = new RegExp(`^!(${KEY})$`);

/** { words, labels: [{ key, isWanted, values }] }; `values` null means that the label is there. */
export function parseFilter(text) {
  const [words, labels] = [[], []];
  const rest = text.replace(SET, (whole, key, operator, values) => {
    labels.push({
      key,
      isWanted: operator === "in",
      values: values.split(",").map((one) => one.trim()),
    });
    return " ";
  });
  for (const term of rest.split(/[\s,]+/).filter(Boolean)) {
    const [, key, operator, value] = REQUIREMENT.exec(term) ?? [];
    const [, absent] = ABSENT.exec(term) ?? [];
    if (key) labels.push({ key, isWanted: operator !== "!=", values: [value] });
    else if (absent) labels.push({ key: absent, isWanted: false, values: null });
    else words.push(term.toLowerCase());
  }
  return { words, labels };
}

export function isShown(row, filter) {
  const labels = row.metadata.labels ?? {};
  for (const { key, isWanted, values } of filter.labels) {
    const fits = key in labels && (values?.includes(labels[key]) ?? true);
    if (fits !== isWanted) return false;
  }
  if (filter.words.length === 0) return true;
  const text = `${row.key} ${(row.cells ?? []).join(" ")}`.toLowerCase();
  return filter.words.every((word) => text.includes(word));
}

/** The rows in the order of a column: { column: index or "namespace" or "age", descending }. */
export function sorted(rows, order) {
  const value = valueOf(order.column);
  const sign = order.descending ? -1 : 1;
  return rows
    .map((row) => [value(row), row])
    .sort(([a, x], [b, y]) => sign * compare(a, b) || compare(x.key, y.key))
    .map(([, row]) => row);
}

function valueOf(column) {
  if (column === "age") return (row) => -Date.parse(row.metadata.creationTimestamp ?? 0);
  if (column === "namespace") return (row) => row.metadata.namespace ?? "";
  return (row) => row.cells?.[column] ?? "";
}

const NUMBER = /^-?\d+(\.\d+)?/;

/**
 * Numbers by size, so that 9 stands before 10 and 2/3 before 10/10; other words by their letters.
 */
export function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [NUMBER.exec(String(a)), NUMBER.exec(String(b))];
  if (x && y && Number(x[0]) !== Number(y[0])) return Number(x[0]) - Number(y[0]);
  const [s, t] = [String(a), String(b)];
  return s < t ? -1 : s > t ? 1 : 0;
}

/**
 * Which of `count` rows of one height exist for a viewport, with some to spare above and below:
 * always as many, while there are so many.
 */
export function visibleRange({ top, height, rowHeight, count, spare = 12 }) {
  const length = Math.min(count, Math.ceil(height / rowHeight) + 1 + 2 * spare);
  const first = Math.floor(top / rowHeight) - spare;
  const inside = Math.max(0, Math.min(first, count - length));
  return { first: inside, last: inside + length };
}

/**
 * The rows of a range by slots: while the range moves, a row stays in its slot, and one that comes
 * in takes the slot of one that went out. The first slot is the row `origin`'s.
 */
export function slots({ first, last }, origin) {
  const length = last - first;
  const shift = length ? (((origin - first) % length) + length) % length : 0;
  return Array.from({ length }, (_, slot) => first + ((slot + shift) % length));
}
