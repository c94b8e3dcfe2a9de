// YAML as text: what is folded away, and the line that a field stands on. Pure. Nothing is parsed:
// the server writes block style with two spaces a level, and reads whatever is sent.

/** Without metadata.managedFields: { text, folded } with the lines that were left out. */
export function withoutManagedFields(text) {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line === "  managedFields:");
  if (start < 0) return { text, folded: 0 };
  let end = start + 1;
  while (end < lines.length && (/^ {3,}/.test(lines[end]) || /^ {2}-/.test(lines[end]))) end += 1;
  return { text: [...lines.slice(0, start), ...lines.slice(end)].join("\n"), folded: end - start };
}

const REVISION = /^  resourceVersion: .*$/m;

/**
 * A draft that was begun from `base`, made to fit `current`: with its revision, where only the
 * status has changed in between; null where somebody else has changed more.
 */
export function rebased(draft, base, current) {
  const revision = REVISION.exec(current)?.[0];
  if (!revision || withoutStatus(base) !== withoutStatus(current)) return null;
  return draft.replace(REVISION, revision);
}

function withoutStatus(text) {
  const { text: plain } = withoutManagedFields(text);
  return plain.replace(REVISION, "").replace(/^status:.*\n(?:[ -].*\n)*/m, "");
}

/** "spec.containers[0].image" as ["spec", "containers", 0, "image"]; keys in brackets are keys. */
export function fieldParts(field) {
  const parts = [];
  for (const [, name, index] of field.matchAll(/([^.[\]]+)|\[([^\]]*)\]/g)) {
    if (name !== undefined) parts.push(name);
    else parts.push(/^\d+$/.test(index) ? Number(index) : index);
  }
  return parts;
}

/**
 * The line (from 1) of a field in block YAML, or of its nearest parent that is there; 0 for none.
 */
export function lineOfField(text, field) {
  const lines = text.split("\n");
  let [from, to, indent, line] = [0, lines.length, 0, 0];
  for (const part of fieldParts(field)) {
    const number =
      typeof part === "number"
        ? lineOfItem(lines, from, to, part)
        : lineOfKey(lines, from, to, part, indent);
    if (number < 0) break;
    line = number + 1;
    const width = indentOf(lines[number]) + (typeof part === "number" ? 2 : 0);
    to = endOfBlock(lines, number, to, typeof part === "number" ? width - 1 : width);
    from = typeof part === "number" ? number : number + 1;
    indent = typeof part === "number" ? width : null;
  }
  return line;
}

function indentOf(line) {
  return line.length - line.trimStart().length;
}

/** A line with the dash of its item taken as a space: the keys of an item stand at one depth. */
function undashed(line) {
  return line.replace(/^( *)- /, "$1  ");
}

function lineOfKey(lines, from, to, key, indent) {
  let depth = indent;
  for (let number = from; number < to; number += 1) {
    const line = undashed(lines[number]);
    if (!line.trim()) continue;
    depth ??= indentOf(line);
    if (indentOf(line) === depth && new RegExp(`^\\s*["']?${escaped(key)}["']?:`).test(line))
      return number;
  }
  return -1;
}

function lineOfItem(lines, from, to, index) {
  let [depth, count] = [null, -1];
  for (let number = from; number < to; number += 1) {
    if (!/^ *-( |$)/.test(lines[number])) continue;
    depth ??= indentOf(lines[number]);
    if (indentOf(lines[number]) === depth) count += 1;
    if (count === index) return number;
  }
  return -1;
}

/** Where what belongs to a line ends: lists may stand at the depth of their key. */
function endOfBlock(lines, start, to, width) {
  for (let number = start + 1; number < to; number += 1) {
    if (!lines[number].trim()) continue;
    const indent = indentOf(lines[number]);
    if (indent < width || (indent === width && !/^ *-( |$)/.test(lines[number]))) return number;
  }
  return to;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
