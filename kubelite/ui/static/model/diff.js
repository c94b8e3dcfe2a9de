// The lines in which two texts differ. Pure.

const CONTEXT = 3; // lines alike that are shown around each change
const MOST = 4_000_000; // comparisons; beyond that the whole middle counts as changed

/** [{ sign, text }]: sign is " ", "-" or "+", and "…" for lines alike that are left out. */
export function difference(before, after) {
  const [old, now] = [before.split("\n"), after.split("\n")];
  let start = 0;
  while (start < Math.min(old.length, now.length) && old[start] === now[start]) start += 1;
  let end = 0;
  const most = Math.min(old.length, now.length) - start;
  while (end < most && old[old.length - 1 - end] === now[now.length - 1 - end]) end += 1;
  return folded([
    ...signed(" ", old.slice(0, start)),
    ...middle(old.slice(start, old.length - end), now.slice(start, now.length - end)),
    ...signed(" ", old.slice(old.length - end)),
  ]);
}

function signed(sign, lines) {
  return lines.map((text) => ({ sign, text }));
}

/** By the longest common subsequence: `common[i][j]` is its length from there on. */
function middle(old, now) {
  if (old.length * now.length > MOST) return [...signed("-", old), ...signed("+", now)];
  const common = Array.from({ length: old.length + 1 }, () => new Uint32Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = now.length - 1; j >= 0; j -= 1) {
      common[i][j] =
        old[i] === now[j]
          ? common[i + 1][j + 1] + 1
          : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < old.length || j < now.length) {
    if (i < old.length && j < now.length && old[i] === now[j]) {
      lines.push({ sign: " ", text: old[i] });
      [i, j] = [i + 1, j + 1];
    } else if (j === now.length || (i < old.length && common[i + 1][j] >= common[i][j + 1])) {
      lines.push({ sign: "-", text: old[i] });
      i += 1;
    } else {
      lines.push({ sign: "+", text: now[j] });
      j += 1;
    }
  }
  return lines;
}

function folded(lines) {
  const shown = new Set();
  lines.forEach(({ sign }, index) => {
    if (sign === " ") return;
    for (let near = index - CONTEXT; near <= index + CONTEXT; near += 1) shown.add(near);
  });
  const kept = [];
  let left = 0;
  lines.forEach((line, index) => {
    if (shown.has(index)) {
      if (left) kept.push({ sign: "…", text: `${left} lines alike` });
      left = 0;
      kept.push(line);
    } else left += 1;
  });
  if (left && kept.length) kept.push({ sign: "…", text: `${left} lines alike` });
  return kept;
}
