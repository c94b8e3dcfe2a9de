// What is wrong, YAML, logs, terminal frames, the start of a pod.

import assert from "node:assert/strict";
import test from "node:test";
import { containersOf, probesOf } from "../../../kubelite/ui/static/model/pod/containers.js";
import { ownedBy } from "../../../kubelite/ui/static/model/facts.js";
import * as frames from "../../../kubelite/ui/static/model/pod/frames.js";
import {
  claimProblem,
  isGoodCondition,
  nodeProblem,
  podProblem,
  podState,
  stateLevel,
} from "../../../kubelite/ui/static/model/health.js";
import {
  EMPTY_LOG,
  interleaved,
  marked,
  matchingLines,
  MOST_LINES,
  plain,
  withEnd,
  withPiece,
} from "../../../kubelite/ui/static/model/pod/logs.js";
import { verdicts } from "../../../kubelite/ui/static/model/pod/placement.js";
import { placed } from "../../../kubelite/ui/static/model/pod/start.js";
import {
  lineOfField,
  rebased,
  withoutManagedFields,
} from "../../../kubelite/ui/static/model/yaml.js";

const CREATED = "2026-01-01T00:00:00Z";
const NOW = Date.parse(CREATED) + 60_000;
const pod = (status, metadata = {}) => ({
  metadata: { name: "p", creationTimestamp: CREATED, ...metadata },
  spec: {},
  status,
});
const container = (state, lastState = {}) => ({
  containerStatuses: [{ name: "c", state, lastState }],
  phase: "Running",
});

test("pods: what is wrong, in words", () => {
  const crash = podProblem(
    pod(
      container(
        { waiting: { reason: "CrashLoopBackOff", message: "back-off 5m0s" } },
        { terminated: { exitCode: 137, reason: "OOMKilled" } },
      ),
    ),
    NOW,
  );
  assert.deepEqual(crash, {
    level: "bad",
    title: "CrashLoopBackOff",
    detail:
      "Container c: it keeps ending, the next start waits. Last time: exit code 137, OOMKilled.",
  });
  const pull = podProblem(
    pod(container({ waiting: { reason: "ImagePullBackOff", message: "no such image" } })),
    NOW,
  );
  assert.match(pull.detail, /cannot be pulled, the next try waits\. no such image/);
  const unplaced = podProblem(
    pod({
      phase: "Pending",
      conditions: [
        { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" },
      ],
    }),
    NOW,
  );
  assert.deepEqual([unplaced.title, unplaced.detail], ["No node fits", "0/1 nodes"]);
  assert.equal(
    podProblem(pod({ phase: "Failed", reason: "Evicted", message: "disk" }), NOW).title,
    "Evicted",
  );
  assert.equal(
    podProblem(
      pod({ phase: "Running", conditions: [{ type: "Ready", status: "False", message: "probe" }] }),
      NOW,
    ).title,
    "Not ready",
  );
});

test("pods: nothing is wrong with those that run, ended well, or have just begun", () => {
  assert.equal(
    podProblem(pod({ phase: "Running", conditions: [{ type: "Ready", status: "True" }] }), NOW),
    null,
  );
  assert.equal(
    podProblem(
      pod({
        phase: "Succeeded",
        containerStatuses: [{ name: "c", state: { terminated: { exitCode: 0 } } }],
      }),
      NOW,
    ),
    null,
  );
  assert.equal(podProblem(pod({ phase: "Pending" }), Date.parse(CREATED) + 1000), null);
  assert.equal(
    podProblem(
      pod({ phase: "Running" }, { deletionTimestamp: CREATED, deletionGracePeriodSeconds: 120 }),
      NOW,
    ),
    null,
  );
});

test("a pod that should be gone says what holds it", () => {
  const held = podProblem(
    pod(
      { phase: "Running" },
      { deletionTimestamp: CREATED, deletionGracePeriodSeconds: 0, finalizers: ["x/y"] },
    ),
    NOW,
  );
  assert.match(held.detail, /Finalizers: x\/y/);
});

test("states, claims, nodes, conditions", () => {
  assert.equal(podState(pod({ phase: "Running" }, { deletionTimestamp: CREATED })), "Terminating");
  assert.equal(
    claimProblem(
      {
        metadata: { creationTimestamp: CREATED },
        spec: { storageClassName: "fast" },
        status: { phase: "Pending" },
      },
      NOW,
    ).detail,
    "No volume of class fast has been bound to it yet.",
  );
  assert.equal(
    claimProblem(
      { metadata: { creationTimestamp: CREATED }, spec: {}, status: { phase: "Bound" } },
      NOW,
    ),
    null,
  );
  const node = (...conditions) => ({
    metadata: {},
    spec: {},
    status: { conditions: conditions.map(([type, status]) => ({ type, status })) },
  });
  assert.equal(nodeProblem(node(["Ready", "True"], ["DiskPressure", "False"])), null);
  assert.equal(
    nodeProblem(node(["Ready", "True"], ["DiskPressure", "True"])).title,
    "DiskPressure",
  );
  assert.equal(nodeProblem(node(["Ready", "Unknown"])).title, "Not ready");
  assert.ok(
    isGoodCondition({ type: "DiskPressure", status: "False" }) &&
      !isGoodCondition({ type: "Ready", status: "Unknown" }),
  );
  assert.deepEqual(
    ["Running", "CrashLoopBackOff", "Pending", "Ready,SchedulingDisabled", "blue"].map(stateLevel),
    ["good", "bad", "warn", "warn", ""],
  );
});

const YAML = `apiVersion: v1
kind: Pod
metadata:
  name: web
  managedFields:
  - apiVersion: v1
    fieldsV1:
      f:spec: {}
  namespace: a
spec:
  containers:
  - image: one
    name: first
    ports:
    - containerPort: 80
  - name: second
    image: two
  volumes: []
`;

test("managedFields are folded, and nothing else", () => {
  const { text, folded } = withoutManagedFields(YAML);
  assert.equal(folded, 4);
  assert.equal(
    text,
    YAML.split("\n")
      .filter((_, index) => index < 4 || index > 7)
      .join("\n"),
  );
  assert.deepEqual(withoutManagedFields("kind: Pod\n"), { text: "kind: Pod\n", folded: 0 });
});

test("the line of a field, or of its nearest parent", () => {
  const text = withoutManagedFields(YAML).text;
  const at = (field) => text.split("\n")[lineOfField(text, field) - 1]?.trim();
  assert.equal(at("spec.containers[0].image"), "- image: one");
  assert.equal(at("spec.containers[0].ports[0].containerPort"), "- containerPort: 80");
  assert.equal(at("spec.containers[1].image"), "image: two");
  assert.equal(at("spec.containers[1].resources.limits"), "- name: second");
  assert.equal(at("spec.volumes"), "volumes: []");
  assert.equal(at("metadata.name"), "name: web");
  assert.equal(lineOfField(text, "status.phase"), 0);
});

test("a draft survives a new status, and nothing else", () => {
  const object = (revision, replicas, ready) =>
    `kind: Deployment\nmetadata:\n  name: web\n  resourceVersion: '${revision}'\n` +
    `spec:\n  replicas: ${replicas}\nstatus:\n  conditions:\n  - type: x\n  ready: ${ready}\n`;
  const draft = object(1, 5, 0);
  assert.equal(rebased(draft, object(1, 2, 0), object(9, 2, 2)), object(9, 5, 0));
  assert.equal(rebased(draft, object(1, 2, 0), object(9, 3, 2)), null);
  assert.equal(rebased(draft, object(1, 2, 0), "kind: Other\n"), null);
});

test("logs: pieces become lines, and only so many are kept", () => {
  let log = withPiece(withPiece(EMPTY_LOG, "one\ntw"), "o\nthree");
  assert.deepEqual([log.lines, log.rest], [["one", "two"], "three"]);
  assert.deepEqual(withEnd(log).lines, ["one", "two", "three"]);
  log = withPiece(EMPTY_LOG, "x\n".repeat(MOST_LINES + 5));
  assert.deepEqual([log.lines.length, log.dropped], [MOST_LINES, 5]);
});

test("logs: searching and marking", () => {
  assert.deepEqual(matchingLines(["an Error", "fine", "error error"], "error"), [0, 2]);
  assert.deepEqual(marked("an Error here", "error"), [
    ["an ", false],
    ["Error", true],
    [" here", false],
  ]);
  assert.deepEqual(marked("<b>", ""), [["<b>", false]]);
  assert.equal(plain("\u001b[31mred\u001b[0m \u001b]0;title\u0007text"), "red text");
});

test("logs of several containers are one in the order of their times", () => {
  const of = (...lines) => withEnd(withPiece(EMPTY_LOG, lines.join("\n")));
  const logs = {
    a: of("2026-01-01T00:00:00.5Z first", "2026-01-01T00:00:02Z last | <b>", "not timed"),
    b: of("2026-01-01T00:00:00.51Z second", "2026-01-01T00:00:01.000000001Z third"),
  };
  assert.deepEqual(interleaved(logs, { times: false }), [
    "a | first",
    "b | second",
    "b | third",
    "a | last | <b>",
    "a | not timed",
  ]);
  assert.equal(interleaved(logs, { times: true })[1], "b | 2026-01-01T00:00:00.51Z second");
  assert.deepEqual(interleaved({}, { times: false }), []);
});

test("probes: what came of them last", () => {
  const spec = {
    name: "c",
    startupProbe: { exec: { command: ["a"] } },
    readinessProbe: { exec: { command: ["b"] } },
    livenessProbe: { exec: { command: ["c"] }, periodSeconds: 5 },
  };
  const event = (message, last, container = "c") => ({
    involvedObject: { fieldPath: `spec.containers{${container}}` },
    message,
    last,
  });
  const liveness = event("Liveness probe failed: no", "2026-01-01T00:00:30Z");
  const events = [
    liveness,
    event("Liveness probe failed: earlier", "2026-01-01T00:00:20Z"),
    event("Readiness probe failed: of another", "2026-01-01T00:00:20Z", "d"),
    event("Startup probe failed: of the run before", "2025-12-31T00:00:00Z"),
  ];
  const words = (status, seconds) =>
    probesOf(spec, {
      status: { state: { running: { startedAt: CREATED } }, ...status },
      events,
      now: Date.parse(CREATED) + seconds * 1000,
    }).map(({ result: { word, level, failure } }) => [word, level, failure?.message]);
  assert.deepEqual(words({ started: false, ready: false }, 0), [
    ["not passed yet", "warn", undefined],
    ["waits for the start", "", undefined],
    ["waits for the start", "", liveness.message],
  ]);
  assert.deepEqual(words({ started: true, ready: true }, 31), [
    ["passed", "good", undefined],
    ["passes", "good", undefined],
    ["fails", "warn", liveness.message],
  ]);
  assert.deepEqual(words({ started: true, ready: false }, 60).slice(1), [
    ["fails", "warn", undefined],
    ["passes", "good", liveness.message],
  ]);
  assert.equal(probesOf(spec, { status: { state: { waiting: {} } } })[0].result, null);
});

test("frames of a terminal", () => {
  assert.deepEqual([...frames.encode(frames.STDIN, "ä")], [0, 195, 164]);
  assert.equal(
    new TextDecoder().decode(frames.resize({ cols: 80, rows: 24 }).subarray(1)),
    '{"Width":80,"Height":24}',
  );
  const { channel, content } = frames.decode(Uint8Array.of(1, 104, 105).buffer);
  assert.deepEqual([channel, new TextDecoder().decode(content)], [1, "hi"]);
  const status = {
    status: "Failure",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  };
  assert.deepEqual(frames.ending(new TextEncoder().encode(JSON.stringify(status))), {
    code: 3,
    message: "The shell has ended with exit code 3.",
  });
});

const START = {
  isExact: true,
  steps: [
    { step: "created", container: "", time: "2026-01-01T00:00:00.000000Z", isExact: false },
    { step: "accepted", container: "", time: "2026-01-01T00:00:00.100000Z", isExact: true },
    { step: "sandbox", container: "", time: "2026-01-01T00:00:00.104500Z", isExact: true },
    { step: "started", container: "c", time: "2026-01-01T00:00:00.110000Z", isExact: true },
  ],
};

test("the start of a pod: each step from the one before it, whole seconds at the begin", () => {
  const steps = placed(START).map(({ name, since, took }) => [name, round(since), round(took)]);
  assert.deepEqual(steps, [
    ["Created", 0, 0],
    ["Accepted by the node", 0, 0],
    ["Sandbox and network", 4.5, 4.5],
    ["Container c started", 10, 5.5],
  ]);
  const { left, width } = placed(START)[3];
  assert.deepEqual([Math.round(left), Math.round(width)], [45, 55]);
});

test("the start of a pod of another machine is known in seconds", () => {
  const steps = START.steps.map((step) => ({ ...step, isExact: false }));
  assert.deepEqual(placed({ steps, isExact: false }).map(({ since }) => round(since))[3], 110);
  assert.deepEqual(placed({ steps: [], isExact: false }), []);
});

function round(value) {
  return Math.round(value * 10) / 10;
}

test("what the scheduler says of each node", () => {
  const nodes = {
    small: { feasible: false, reasons: ["Insufficient cpu", "x"], scores: {}, total: null },
    good: { feasible: true, reasons: [], scores: { Fit: 7, Spread: 1 }, total: 8 },
    best: { feasible: true, reasons: [], scores: { Fit: 9 }, total: 9 },
  };
  assert.deepEqual(
    verdicts({ nodes }).map(({ node, isFeasible, text }) => [node, isFeasible, text]),
    [
      ["best", true, "score 9: Fit 9"],
      ["good", true, "score 8: Fit 7, Spread 1"],
      ["small", false, "Insufficient cpu, x"],
    ],
  );
});

test("containers with their roles, probes in words, what belongs to what", () => {
  const members = containersOf({
    spec: {
      initContainers: [{ name: "i" }, { name: "s", restartPolicy: "Always" }],
      containers: [{ name: "c" }],
    },
    status: {},
  });
  assert.deepEqual(
    members.map(({ role, spec }) => [role, spec.name]),
    [
      ["init", "i"],
      ["sidecar", "s"],
      ["", "c"],
    ],
  );
  assert.deepEqual(
    probesOf({
      readinessProbe: {
        httpGet: { port: 8080, path: "/ok" },
        periodSeconds: 5,
        failureThreshold: 2,
      },
    }),
    [{ name: "readiness", text: "GET http://:8080/ok every 5 s, 2 failures", result: null }],
  );
  assert.deepEqual(
    ownedBy("deployments.apps", {
      metadata: { uid: "u" },
      spec: { selector: { matchLabels: { a: "b", c: "d" } } },
    }),
    { resource: "replicasets.apps", selectors: { labelSelector: "a=b,c=d" }, uid: "u" },
  );
  assert.equal(ownedBy("configmaps", { metadata: {} }), null);
});
