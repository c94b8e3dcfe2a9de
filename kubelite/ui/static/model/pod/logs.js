// Lines of a log: bounded, searched. Pure.

export const MOST_LINES = 20000;

export const EMPTY_LOG = Object.freeze({ lines: [], rest: "", dropped: 0 });

/** A piece of the stream came; a line that is not whole yet waits for its end. */
export function withPiece(log, piece) {
  const parts = (log.rest + piece).split("\n");
  const rest = parts.pop();
  const lines = log.lines.concat(parts);
  const surplus = Math.max(0, lines.length - MOST_LINES);
  return { lines: surplus ? lines.slice(surplus) : lines, rest, dropped: log.dropped + surplus };
}

/** The stream ended: what waited is a line. */
export function withEnd(log) {
  return log.rest ? withPiece(log, "\n") : log;
}

/**
 * The lines of several logs by name, in the order of the times with which each begins (RFC 3339,
 * fractions of any length); each line then begins with its log's name. A line without a time, as
 * of what was written by nobody's clock, stays behind the one before it.
 */
export function interleaved(logs, { times }) {
  const all = [];
  for (const [name, { lines }] of Object.entries(logs)) {
    let at = "";
    for (const line of lines) {
      const [, time, text] = TIMED.exec(line) ?? [null, null, line];
      at = time ?? at;
      all.push({ at, line: `${name} | ${times ? line : text}` });
    }
  }
  all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return all.slice(-MOST_LINES).map(({ line }) => line);
}

const TIMED = /^(\d{4}-\d\d-\d\dT[\d:.]+)Z (.*)$/s;

/** Numbers of the lines that contain a text, in any case of letters. */
export function matchingLines(lines, text) {
  if (!text) return [];
  const wanted = text.toLowerCase();
  const numbers = [];
  lines.forEach((line, number) => line.toLowerCase().includes(wanted) && numbers.push(number));
  return numbers;
}

/** A line in parts, [text, isMatch], for marking. */
export function marked(line, text) {
  if (!text) return [[line, false]];
  const [lower, wanted] = [line.toLowerCase(), text.toLowerCase()];
  const parts = [];
  let from = 0;
  for (let start = lower.indexOf(wanted); start >= 0; start = lower.indexOf(wanted, from)) {
    if (start > from) parts.push([line.slice(from, start), false]);
    parts.push([line.slice(start, start + wanted.length), true]);
    from = start + wanted.length;
  }
  if (from < line.length) parts.push([line.slice(from), false]);
  return parts;
}

const ESCAPES = /\u001b(\[[0-9;?]*[ -/]*[@-~]|\][^\u0007]*(\u0007|\u001b\\)|[@-Z\\-_])/g;

/** Without the codes that colour a terminal. */
export function plain(text) {
  return text.replace(ESCAPES, "");
}
