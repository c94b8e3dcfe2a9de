// Filters, orders, kinds, routes, times.

import assert from "node:assert/strict";
import test from "node:test";
import {
  compare,
  isShown,
  parseFilter,
  sorted,
  slots,
  visibleRange,
} from "../../../kubelite/ui/static/model/filter.js";
import {
  matches,
  ofEngine,
  path,
  resourcesOf,
  sections,
} from "../../../kubelite/ui/static/model/kinds.js";
import { format, formatOpen, parse, parseOpen } from "../../../kubelite/ui/static/model/route.js";
import { age, milliseconds } from "../../../kubelite/ui/static/model/time.js";

const row = (name, cells, labels) => ({
  key: `a/${name}`,
  metadata: { name, namespace: "a", labels },
  cells,
});

test("words are looked for in all cells, requirements in labels", () => {
  const web = row("web-1", ["web-1", "Running"], { app: "web" });
  const shows = (text) => isShown(web, parseFilter(text));
  assert.ok(
    shows("") &&
      shows("RUNN") &&
      shows("web running") &&
      shows("app=web") &&
      shows("app==web, run") &&
      shows("app!=db"),
  );
  assert.ok(shows("app in (db, web)") && shows("app notin (db)") && shows("!tier"));
  assert.ok(shows("tier notin (x),run app in (web)") && !shows("run app notin (web, db)"));
  assert.ok(!shows("!app") && !shows("tier in (x)") && !shows("app in ()"));
  assert.ok(!shows("pending") && !shows("app=db") && !shows("app!=web") && !shows("tier=x"));
});

test("numbers are ordered by size, words by letters, equal ones by name", () => {
  assert.ok(
    compare("9", "10") < 0 &&
      compare("2/3", "10/10") < 0 &&
      compare("b", "a") > 0 &&
      compare(2, 10) < 0,
  );
  const rows = [row("b", ["b", "1"]), row("c", ["c", "0"]), row("a", ["a", "1"])];
  assert.deepEqual(
    sorted(rows, { column: 1 }).map(({ key }) => key),
    ["a/c", "a/a", "a/b"],
  );
  assert.deepEqual(
    sorted(rows, { column: 1, descending: true }).map(({ key }) => key),
    ["a/a", "a/b", "a/c"],
  );
});

test("age: the youngest has the least", () => {
  const at = (name, time) => ({ ...row(name, []), metadata: { name, creationTimestamp: time } });
  const rows = [at("old", "2020-01-01T00:00:00Z"), at("young", "2021-01-01T00:00:00Z")];
  assert.deepEqual(
    sorted(rows, { column: "age" }).map(({ metadata }) => metadata.name),
    ["young", "old"],
  );
});

test("of ten thousand rows only those in view exist", () => {
  const range = visibleRange({ top: 30000, height: 900, rowHeight: 30, count: 10000, spare: 10 });
  assert.deepEqual(range, { first: 990, last: 1041 });
  const at = (top, count) => visibleRange({ top, height: 900, rowHeight: 30, count });
  assert.deepEqual([at(30000, 9999), at(30029, 9999)], Array(2).fill({ first: 988, last: 1043 }));
  assert.deepEqual(at(299000, 9999), { first: 9944, last: 9999 });
  assert.deepEqual(at(0, 3), { first: 0, last: 3 });
  assert.deepEqual(at(99999, 2), { first: 0, last: 2 });
  assert.deepEqual(at(0, 0), { first: 0, last: 0 });
});

test("a row keeps its slot while the range moves, and the new one takes a free one", () => {
  assert.deepEqual(slots({ first: 10, last: 14 }, 10), [10, 11, 12, 13]);
  assert.deepEqual(slots({ first: 12, last: 16 }, 10), [14, 15, 12, 13]);
  assert.deepEqual(slots({ first: 9, last: 13 }, 10), [10, 11, 12, 9]);
  assert.deepEqual(slots({ first: 500, last: 504 }, 10), [502, 503, 500, 501]);
  assert.deepEqual(slots({ first: 0, last: 0 }, 10), []);
});

const RESOURCES = resourcesOf(
  {
    resources: [
      {
        name: "pods",
        kind: "Pod",
        singularName: "pod",
        namespaced: true,
        verbs: ["list"],
        shortNames: ["po"],
      },
      { name: "pods/log", kind: "Pod", namespaced: true, verbs: ["get"] },
      { name: "bindings", kind: "Binding", namespaced: true, verbs: ["create"] },
    ],
  },
  {
    items: [
      {
        metadata: { name: "apps" },
        versions: [
          {
            version: "v1",
            resources: [
              {
                resource: "deployments",
                responseKind: { kind: "Deployment" },
                singularResource: "deployment",
                scope: "Namespaced",
                verbs: ["list"],
                shortNames: ["deploy"],
              },
            ],
          },
        ],
      },
      {
        metadata: { name: "example.com" },
        versions: [
          {
            version: "v2",
            resources: [
              {
                resource: "podlings",
                responseKind: { kind: "Podling" },
                scope: "Cluster",
                verbs: ["list"],
              },
            ],
          },
          {
            version: "v1",
            resources: [
              {
                resource: "podlings",
                responseKind: { kind: "Podling" },
                scope: "Cluster",
                verbs: ["list"],
              },
            ],
          },
        ],
      },
    ],
  },
);

test("discovery: what can be listed, each once, custom kinds by group", () => {
  assert.deepEqual(
    RESOURCES.map(({ id, version }) => [id, version]),
    [
      ["pods", "v1"],
      ["deployments.apps", "v1"],
      ["podlings.example.com", "v2"],
    ],
  );
  assert.deepEqual(
    sections(RESOURCES).map(({ title }) => title),
    ["Workloads", "example.com"],
  );
  assert.deepEqual(
    ofEngine(RESOURCES).map(({ id }) => id),
    ["pods"],
  );
});

test("a typed word: short names first, then beginnings, then the rest", () => {
  assert.deepEqual(
    matches(RESOURCES, "po").map(({ id }) => id),
    ["pods", "podlings.example.com"],
  );
  assert.equal(matches(RESOURCES, "deploy")[0].id, "deployments.apps");
  assert.deepEqual(matches(RESOURCES, "xyz"), []);
});

test("paths", () => {
  const [pods, deployments, podlings] = RESOURCES;
  assert.equal(path(pods), "/api/v1/pods");
  assert.equal(
    path(deployments, { namespace: "a", name: "web", subresource: "scale" }),
    "/apis/apps/v1/namespaces/a/deployments/web/scale",
  );
  assert.equal(
    path(podlings, { namespace: "a", name: "x/../y" }),
    "/apis/example.com/v2/podlings/x%2F..%2Fy",
  );
});

test("routes: what is written is read again", () => {
  for (const route of [
    { screen: "overview" },
    {
      screen: "list",
      resource: "deployments.apps",
      namespace: "a",
      filter: "app=web & more",
      open: "deployments.apps/a/web",
    },
    { screen: "pod", namespace: "a", name: "web-1", tab: "logs" },
  ])
    assert.deepEqual(parse(format(route)), route);
  assert.deepEqual(parse("#/nonsense/x"), { screen: "overview" });
  assert.deepEqual(parseOpen(formatOpen({ resource: "nodes", namespace: undefined, name: "n" })), {
    resource: "nodes",
    namespace: "",
    name: "n",
  });
  assert.equal(parseOpen(undefined), null);
});

test("times", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  assert.deepEqual(
    [
      "2026-01-01T23:59:15Z",
      "2026-01-01T23:54:48Z",
      "2025-12-22T00:00:00Z",
      "2026-01-03T00:00:00Z",
    ].map((time) => age(time, now)),
    ["45s", "5m12s", "11d", "0s"],
  );
  assert.deepEqual([4.21, 350.4, 1250, 15000].map(milliseconds), [
    "4.2 ms",
    "350 ms",
    "1.25 s",
    "15.0 s",
  ]);
});
