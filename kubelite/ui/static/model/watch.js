// What a list and the watch that follows it add up to. Pure: a state and what came in make the next
// state.
//
// A collection goes loading → live. A lost connection makes it stale: rows stay, the watch is
// taken up again. A revision that the server no longer has (410) makes it expired: it is listed
// anew, and the old rows stay until then.

export const EMPTY = Object.freeze({
  phase: "loading", // loading | live | stale | expired | failed
  columns: null, // of a Table
  rows: new Map(), // by key: { key, metadata, cells, object }
  revision: "", // where the watch goes on
  staged: null, // rows of a listing that has not all its pages yet
  error: null,
  generation: 0, // how many times events came; a row has the one in which it changed
});

export function keyOf(metadata) {
  return metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name;
}

/** The rows of a Table, or of a plain list. */
export function rowsOf(answer) {
  if (answer.kind === "Table") {
    return (answer.rows ?? []).map(({ cells, object }) => rowOf(object, cells));
  }
  return (answer.items ?? []).map((object) => rowOf(object));
}

function rowOf(object, cells) {
  return { key: keyOf(object.metadata), metadata: object.metadata, cells, object };
}

/**
 * A page of a listing came; the first listing shows each page at once, a later one only when it is
 * whole.
 */
export function withPage(state, answer, { first }) {
  const isLast = !answer.metadata?.continue;
  const rows = new Map(first ? [] : state.staged);
  for (const row of rowsOf(answer)) rows.set(row.key, row);
  const showsPages = state.revision === "";
  return {
    ...state,
    columns: answer.columnDefinitions?.length ? answer.columnDefinitions : state.columns,
    rows: isLast || showsPages ? rows : state.rows,
    staged: isLast ? null : rows,
    phase: isLast ? "live" : state.phase,
    revision: isLast ? (answer.metadata?.resourceVersion ?? "") : state.revision,
    error: isLast ? null : state.error,
  };
}

/** Events of the watch, in their order. */
export function withEvents(state, events) {
  const rows = new Map(state.rows);
  const generation = state.generation + 1;
  let { revision, phase, error, columns } = state;
  for (const { type, object } of events) {
    if (type === "ERROR") {
      phase = object?.code === 410 ? "expired" : "stale";
      error = object?.code === 410 ? null : (object?.message ?? "the watch ended with an error");
      break;
    }
    revision = object.metadata?.resourceVersion ?? revision;
    if (type === "BOOKMARK") continue;
    if (object.columnDefinitions?.length) columns = object.columnDefinitions;
    const changed = object.kind === "Table" ? rowsOf(object) : [rowOf(object)];
    for (const row of changed) {
      if (type === "DELETED") rows.delete(row.key);
      else rows.set(row.key, { ...row, changed: generation });
      revision = row.metadata.resourceVersion ?? revision;
    }
    phase = "live";
  }
  return { ...state, rows, revision, phase, error, columns, generation };
}

/** The connection is gone. */
export function withLoss(state, message) {
  return { ...state, phase: state.revision ? "stale" : "failed", error: message };
}

/** The watch is open again. */
export function withConnection(state) {
  return state.phase === "stale" ? { ...state, phase: "live", error: null } : state;
}
