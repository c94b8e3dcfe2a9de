// What is used, and how objects hang together.

import assert from "node:assert/strict";
import test from "node:test";
import {
  autoscaling,
  bytes,
  cores,
  KEPT_MS,
  limitOf,
  line,
  nearest,
  points,
  quantity,
  rates,
  roundTop,
  spanOf,
  within,
  withSummary,
  zoomed,
} from "../../../kubelite/ui/static/model/figures.js";
import {
  getDirectoryCommand,
  join,
  parent,
  parseListing,
} from "../../../kubelite/ui/static/model/pod/files.js";
import { topology } from "../../../kubelite/ui/static/model/topology.js";

const summary = (cores, received) => ({
  node: {
    cpu: { usageNanoCores: cores * 1e9 },
    memory: { workingSetBytes: 5 },
    network: { interfaces: [{ rxBytes: received, txBytes: 1 }, { rxBytes: 1 }] },
  },
  pods: [{ podRef: { namespace: "a", name: "b" }, memory: { workingSetBytes: 7 } }],
});

test("a history keeps fifteen minutes of the node and of its pods", () => {
  let history = new Map();
  for (const at of [0, 1000, KEPT_MS]) history = withSummary(history, summary(at / 1000, at), at);
  assert.deepEqual(points(history.get("node"), "cpu"), [
    { at: 1000, value: 1 },
    { at: KEPT_MS, value: KEPT_MS / 1000 },
  ]);
  assert.deepEqual(points(history.get("pod/a/b"), "memory").at(-1), { at: KEPT_MS, value: 7 });
  assert.deepEqual(points(history.get("pod/a/b"), "cpu"), []);
  assert.equal(points(history.get("node"), "received").at(-1).value, KEPT_MS + 1);
  history = withSummary(history, { node: {}, pods: [] }, KEPT_MS + 1);
  assert.equal(history.has("pod/a/b"), false);
});

test("counters become rates, and one that begins anew gains nothing", () => {
  const counted = [
    { at: 0, value: 0 },
    { at: 2000, value: 500 },
    { at: 3000, value: 100 },
  ];
  assert.deepEqual(rates(counted), [
    { at: 2000, value: 250 },
    { at: 3000, value: 0 },
  ]);
  assert.deepEqual(rates([]), []);
});

test("a line ends at the right edge now, and does not leave its box", () => {
  const shown = [
    { at: 0, value: 1 },
    { at: KEPT_MS, value: 9 },
  ];
  const span = spanOf(null, KEPT_MS);
  const box = { ...span, top: 2, width: 100, height: 10 };
  assert.equal(line(shown, box), "M0.00 5.00L100.00 0.00");
  assert.equal(line([], box), "");
  assert.equal(line(shown.slice(1), box), "M100.00 0.00h0");
  assert.equal(nearest(shown, 0.4, span), shown[0]);
  assert.equal(nearest(shown, 0.6, span), shown[1]);
  assert.equal(nearest([], 0.6, span), undefined);
});

test("a chart shows the last minutes, or what was dragged over in either direction", () => {
  assert.deepEqual(spanOf(null, KEPT_MS), { from: 0, to: KEPT_MS });
  assert.deepEqual(spanOf({ last: 60_000 }, 100_000), { from: 40_000, to: 100_000 });
  const span = { from: 0, to: 100_000 };
  assert.deepEqual(zoomed(span, [0.75, 0.25]), { from: 25_000, to: 75_000 });
  assert.deepEqual(zoomed(span, [-1, 0.5]), { from: 0, to: 50_000 });
  assert.deepEqual(spanOf(zoomed(span, [0, 0.5]), 900_000), { from: 0, to: 50_000 });
  assert.equal(zoomed(span, [0.5, 0.5]), null);
  const shown = [10, 20, 30, 40, 50].map((at) => ({ at, value: 1 }));
  assert.deepEqual(
    within(shown, { from: 25, to: 35 }).map(({ at }) => at),
    [20, 30, 40],
  );
  assert.deepEqual(within(shown.slice(0, 1), { from: 25, to: 35 }), []);
});

test("tops are round, figures in words", () => {
  assert.deepEqual([[], [0.3], [1], [1.1], [47], [501]].map(roundTop), [1, 0.5, 1, 2, 50, 1000]);
  assert.deepEqual([0, 0.0054, 0.12, 3].map(cores), ["0 m", "5 m", "0.12", "3.00"]);
  assert.deepEqual([0, 0.4, 1023, 1536, 200 * 2 ** 20, 2 ** 45].map(bytes), [
    "0 B",
    "0 B",
    "1023 B",
    "1.5 KiB",
    "200 MiB",
    "32.0 TiB",
  ]);
});

test("quantities are numbers, limits of a pod a sum where all have one", () => {
  const texts = ["250m", "2", "64Mi", "1.5Gi", "3k", "", undefined, "x"];
  const numbers = [0.25, 2, 64 * 2 ** 20, 1.5 * 2 ** 30, 3000, undefined, undefined, undefined];
  assert.deepEqual(texts.map(quantity), numbers);
  const pod = (...limits) => ({
    spec: { containers: limits.map((memory) => ({ resources: { limits: { memory } } })) },
  });
  assert.equal(limitOf(pod("1Ki", "1Ki"), "memory"), 2048);
  assert.equal(limitOf(pod("1Ki", undefined), "memory"), undefined);
});

test("what an autoscaler looks at, by its metrics' names", () => {
  const found = autoscaling({
    spec: {
      metrics: [
        { type: "Resource", resource: { name: "cpu", target: { averageUtilization: 70 } } },
        { type: "Pods", pods: { metric: { name: "requests" }, target: { averageValue: "100m" } } },
      ],
    },
    status: {
      currentReplicas: 2,
      desiredReplicas: 3,
      currentMetrics: [
        { type: "Resource", resource: { name: "cpu", current: { averageUtilization: 91 } } },
      ],
    },
  });
  assert.deepEqual(found, {
    replicas: 2,
    wanted: 3,
    metrics: [
      { name: "cpu", value: 91, target: 70 },
      { name: "requests", value: undefined, target: 0.1 },
    ],
  });
});

const object = (name, rest = {}, owner) => ({
  metadata: {
    name,
    namespace: "a",
    uid: name,
    creationTimestamp: "2026-01-01T00:00:00Z",
    ownerReferences: owner && [{ uid: owner }],
    ...rest.metadata,
  },
  spec: { ...rest.spec },
  status: { ...rest.status },
});
const RUNNING = { phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
const template = { metadata: { labels: { app: "web" } } };
const LISTS = {
  "ingresses.networking.k8s.io": [
    object("in", { spec: { defaultBackend: { service: { name: "web" } } } }),
  ],
  services: [
    object("web", { spec: { type: "ClusterIP", selector: { app: "web" } } }),
    object("none", { spec: {} }),
  ],
  "deployments.apps": [
    object("deploy", { spec: { replicas: 2, template }, status: { readyReplicas: 1 } }),
  ],
  "replicasets.apps": [
    object("set", { spec: { replicas: 2 }, status: { readyReplicas: 1 } }, "deploy"),
    object("set-before", { spec: { replicas: 0 } }, "deploy"),
  ],
  pods: [
    object("p1", { spec: { nodeName: "n" }, status: RUNNING }, "set"),
    object("p2", { spec: {}, status: { phase: "Failed" } }, "set"),
    object("lone", { metadata: { labels: { app: "web" } }, spec: {}, status: RUNNING }),
  ],
  nodes: [object("n", { metadata: { namespace: undefined }, status: RUNNING })],
};

test("links lead from Ingress to Node, and old ReplicaSets are left out", () => {
  const { items, links } = topology(LISTS, Date.now());
  assert.deepEqual(links.map((link) => link.join(" ")).sort(), [
    "deploy set",
    "in web",
    "p1 n",
    "set p1",
    "set p2",
    "web deploy",
    "web lone",
  ]);
  assert.equal(items.length, 9);
});

test("each stands amid what hangs on it, and no two in one place", () => {
  const { items, slots } = topology(LISTS, Date.now());
  const at = Object.fromEntries(items.map(({ key, slot }) => [key, slot]));
  assert.deepEqual([at.p1, at.p2, at.set, at.deploy], [0, 1, 0.5, 0.5]);
  assert.ok(items.every(({ slot }) => slot >= 0 && slot < slots));
  const places = items.map(({ layer, slot }) => `${layer} ${slot}`);
  assert.equal(new Set(places).size, items.length);
});

test("health is by a word and a level", () => {
  const { items } = topology(LISTS, Date.now());
  const health = Object.fromEntries(items.map(({ key, word, level }) => [key, [word, level]]));
  assert.deepEqual(health.deploy, ["1/2 ready", "warn"]);
  assert.deepEqual(health.p2, ["Failed", "bad"]);
  assert.deepEqual(health.p1, ["Running", "good"]);
  assert.deepEqual(health.n, ["Ready", "good"]);
  assert.deepEqual(health.none, ["", ""]);
});

test("a listing is what is in the directory, whatever the names hold", () => {
  const text =
    "/tmp/a\n\x00" +
    "81a4 5 1\n41ed 4096 2\na1ff 3 3\n10f 0 4\n81a4 0 5\n" +
    "b\0c d\0l\0pipe\0\n81a4 1 1\n<b>\0";
  const { path, entries } = parseListing(text);
  assert.equal(path, "/tmp/a");
  assert.deepEqual(
    entries.map(({ name, type }) => [name, type]),
    [
      ["c d", "directory"],
      ["\n81a4 1 1\n<b>", "file"],
      ["b", "file"],
      ["l", "link"],
      ["pipe", "other"],
    ],
  );
  assert.deepEqual(parseListing("/\n\0"), { path: "/", entries: [] });
  assert.equal(parseListing("/\n\x0081a4 5 1\na\0b\0"), null);
});

test("paths are joined and taken apart", () => {
  assert.deepEqual([join("/", "a"), join("/a", "b")], ["/a", "/a/b"]);
  assert.deepEqual(["/a", "/a/b"].map(parent), ["/", "/a"]);
  assert.deepEqual(getDirectoryCommand("/a/-b").slice(2), ["-", "-C", "/a", "--", "-b"]);
});
