// A directory of a container, as commands tell it. Pure.

/**
 * Prints, for the directory $1: its path and a NUL; "MODE SIZE TIME" in a line for each entry, mode
 * in hexadecimal; and the entries' names, each with a NUL. Names may hold anything else.
 */
const LIST = `cd -- "$1" || exit 1
pwd; printf '\\0'
set -- .[!.]* ..?* *
for f; do shift; if [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "$f"; fi; done
[ $# = 0 ] && exit 0
stat -c '%f %s %Y' -- "$@" && printf '%s\\0' "$@"`;

/** Writes standard input to the file $1, which is there only when all $2 bytes have come. */
const PUT = `cat > "$1.part" && [ "$(stat -c %s -- "$1.part")" = "$2" ] && mv -- "$1.part" "$1"`;

export function listCommand(path) {
  return ["sh", "-c", LIST, "sh", path];
}

export function getCommand(path) {
  return ["cat", "--", path];
}

/** A directory as an archive that begins with its own name. */
export function getDirectoryCommand(path) {
  const { directory, name } = split(path);
  return ["tar", "cf", "-", "-C", directory, "--", name];
}

export function putCommand(path, size) {
  return ["sh", "-c", PUT, "sh", path, String(size)];
}

const TYPES = { 0x4: "directory", 0x8: "file", 0xa: "link" };

/**
 * { path, entries: [{ name, type, size, modified }] } of what the listing printed: directories
 * first, then by name. Null where the directory changed meanwhile.
 */
export function parseListing(text) {
  const [path, ...rest] = text.split("\0");
  const entries = rest.join("\0");
  const directory = path.replace(/\n$/, "");
  if (!entries) return { path: directory, entries: [] };
  const count = /^(?:[0-9a-f]+ \d+ \d+\n)*/.exec(entries)[0];
  const names = entries.slice(count.length).split("\0").slice(0, -1);
  const facts = count.split("\n").slice(0, -1);
  if (facts.length !== names.length) return null;
  const found = facts.map((line, index) => {
    const [mode, size, time] = line.split(" ");
    const type = TYPES[Number.parseInt(mode, 16) >> 12] ?? "other";
    return { name: names[index], type, size: Number(size), modified: Number(time) * 1000 };
  });
  const rank = ({ type }) => (type === "directory" ? 0 : 1);
  found.sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
  return { path: directory, entries: found };
}

export function join(directory, name) {
  return directory.endsWith("/") ? directory + name : `${directory}/${name}`;
}

export function parent(path) {
  return split(path).directory;
}

function split(path) {
  const end = path.lastIndexOf("/");
  return { directory: path.slice(0, end) || "/", name: path.slice(end + 1) };
}
