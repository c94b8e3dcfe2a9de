// The reducer of a list and its watch.

import assert from "node:assert/strict";
import test from "node:test";
import {
  EMPTY,
  keyOf,
  withConnection,
  withEvents,
  withLoss,
  withPage,
} from "../../../kubelite/ui/static/model/watch.js";

const object = (name, revision, extra = {}) => ({
  metadata: { name, namespace: "a", resourceVersion: String(revision), ...extra },
});
const list = (names, metadata) => ({
  kind: "PodList",
  metadata,
  items: names.map((name) => object(name, 1)),
});
const names = (state) => [...state.rows.keys()];

test("a listing of one page is live at its revision", () => {
  const state = withPage(EMPTY, list(["x", "y"], { resourceVersion: "7" }), { first: true });
  assert.deepEqual([state.phase, state.revision, names(state)], ["live", "7", ["a/x", "a/y"]]);
});

test("the first listing shows its pages as they come", () => {
  const begun = withPage(EMPTY, list(["x"], { resourceVersion: "7", continue: "c" }), {
    first: true,
  });
  assert.deepEqual([begun.phase, begun.revision, names(begun)], ["loading", "", ["a/x"]]);
  const whole = withPage(begun, list(["y"], { resourceVersion: "7" }), { first: false });
  assert.deepEqual([whole.phase, whole.revision, names(whole)], ["live", "7", ["a/x", "a/y"]]);
});

test("a later listing replaces the old rows when it is whole", () => {
  const old = {
    ...withPage(EMPTY, list(["gone", "x"], { resourceVersion: "7" }), { first: true }),
    phase: "expired",
  };
  const begun = withPage(old, list(["x"], { continue: "c" }), { first: true });
  assert.deepEqual([begun.phase, names(begun)], ["expired", ["a/gone", "a/x"]]);
  const whole = withPage(begun, list(["new"], { resourceVersion: "90" }), { first: false });
  assert.deepEqual([whole.phase, whole.revision, names(whole)], ["live", "90", ["a/x", "a/new"]]);
});

test("events add, change and delete, and the revision moves with them", () => {
  const state = withPage(EMPTY, list(["x", "y"], { resourceVersion: "7" }), { first: true });
  const next = withEvents(state, [
    { type: "ADDED", object: object("z", 8) },
    { type: "MODIFIED", object: object("x", 9, { labels: { new: "yes" } }) },
    { type: "DELETED", object: object("y", 10) },
  ]);
  assert.deepEqual([next.revision, names(next)], ["10", ["a/x", "a/z"]]);
  assert.equal(next.rows.get("a/x").metadata.labels.new, "yes");
  assert.deepEqual(names(state), ["a/x", "a/y"], "the state before is as it was");
});

test("a bookmark moves the revision only", () => {
  const state = withPage(EMPTY, list(["x"], { resourceVersion: "7" }), { first: true });
  const next = withEvents(state, [
    { type: "BOOKMARK", object: { metadata: { resourceVersion: "50" } } },
  ]);
  assert.deepEqual([next.revision, names(next), next.phase], ["50", ["a/x"], "live"]);
});

test("rows of a Table have cells, and columns stay when an event names none", () => {
  const row = (name, cell) => ({ cells: [name, cell], object: object(name, 1) });
  const table = {
    kind: "Table",
    metadata: { resourceVersion: "7" },
    columnDefinitions: [{ name: "Name" }, { name: "Status" }],
    rows: [row("x", "Pending")],
  };
  const state = withPage(EMPTY, table, { first: true });
  const next = withEvents(state, [
    {
      type: "MODIFIED",
      object: {
        kind: "Table",
        metadata: { resourceVersion: "8" },
        columnDefinitions: null,
        rows: [row("x", "Running")],
      },
    },
  ]);
  assert.deepEqual(
    next.columns.map(({ name }) => name),
    ["Name", "Status"],
  );
  assert.deepEqual(next.rows.get("a/x").cells, ["x", "Running"]);
});

test("a 410 makes it expired, with the rows kept; another error makes it stale", () => {
  const state = withPage(EMPTY, list(["x"], { resourceVersion: "7" }), { first: true });
  const gone = withEvents(state, [{ type: "ERROR", object: { code: 410, message: "too old" } }]);
  assert.deepEqual([gone.phase, gone.error, names(gone)], ["expired", null, ["a/x"]]);
  const other = withEvents(state, [{ type: "ERROR", object: { code: 500, message: "broken" } }]);
  assert.deepEqual([other.phase, other.error], ["stale", "broken"]);
});

test("a loss before anything was listed is a failure, afterwards the rows stay", () => {
  assert.equal(withLoss(EMPTY, "no").phase, "failed");
  const state = withLoss(
    withPage(EMPTY, list(["x"], { resourceVersion: "7" }), { first: true }),
    "no",
  );
  assert.deepEqual([state.phase, state.error, names(state)], ["stale", "no", ["a/x"]]);
  assert.deepEqual([withConnection(state).phase, withConnection(state).error], ["live", null]);
});

test("keys are names, with the namespace where there is one", () => {
  assert.equal(keyOf({ name: "n" }), "n");
  assert.equal(keyOf({ namespace: "a", name: "n" }), "a/n");
});
