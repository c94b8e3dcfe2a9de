// What the page changes: differences, revisions, images, draining, templates.

import assert from "node:assert/strict";
import test from "node:test";
import { difference } from "../../../kubelite/ui/static/model/diff.js";
import { drainPlan } from "../../../kubelite/ui/static/model/drain.js";
import { revisionsOf } from "../../../kubelite/ui/static/model/revisions.js";
import { template } from "../../../kubelite/ui/static/model/templates.js";
import { imagePatch, imagesOf, jobOf } from "../../../kubelite/ui/static/model/workloads.js";

const shown = (lines) => lines.map(({ sign, text }) => sign + text);

test("a difference shows what was taken out and put in", () => {
  assert.deepEqual(shown(difference("a\nb\nc\nd", "a\nx\nc\nd\ne")), [
    " a",
    "-b",
    "+x",
    " c",
    " d",
    "+e",
  ]);
  assert.deepEqual(difference("a\nb", "a\nb"), []);
});

test("lines alike far from a change are only counted", () => {
  const lines = Array.from({ length: 40 }, (_, index) => `line ${index}`);
  const changed = lines.with(20, "other");
  const found = shown(difference(lines.join("\n"), changed.join("\n")));
  assert.deepEqual(found.slice(0, 2), ["…17 lines alike", " line 17"]);
  assert.deepEqual(found.slice(-2), [" line 23", "…16 lines alike"]);
  assert.ok(found.includes("-line 20") && found.includes("+other"));
});

test("a difference holds both texts from their first change on", () => {
  let seed = 7;
  const random = (most) => {
    seed = (seed * 48271) % 2147483647;
    return seed % most;
  };
  const text = () => Array.from({ length: random(6) }, () => "abc"[random(3)]).join("\n");
  for (let round = 0; round < 500; round += 1) {
    const [before, after] = [text(), text()].map((part) => `-\n${part}\n-`);
    const lines = difference(before, after);
    if (before === after || lines.some(({ sign }) => sign === "…")) continue;
    const side = (sign) =>
      lines.filter((line) => [" ", sign].includes(line.sign)).map((line) => line.text);
    assert.equal(side("-").join("\n"), before);
    assert.equal(side("+").join("\n"), after);
  }
});

const owned = (by, name, rest) => ({
  metadata: { name, ownerReferences: [{ uid: by }], ...rest.metadata },
  ...rest.body,
});

test("a Deployment goes back to a ReplicaSet's template without its hash", () => {
  const set = (revision, image, cause) =>
    owned("d", `web-${revision}`, {
      metadata: {
        creationTimestamp: "2026-01-01T00:00:00Z",
        annotations: {
          "deployment.kubernetes.io/revision": revision,
          "kubernetes.io/change-cause": cause,
        },
      },
      body: {
        spec: {
          template: {
            metadata: { labels: { app: "web", "pod-template-hash": "1" } },
            spec: { containers: [{ name: "a", image }] },
          },
        },
      },
    });
  const deployment = { metadata: { uid: "d", annotations: {} } };
  const sets = [set("9", "old", "first"), set("10", "new"), set("3", "no")];
  sets[2].metadata.ownerReferences[0].uid = "other";
  const [current, before] = revisionsOf(deployment, sets);
  assert.deepEqual([current.revision, current.isCurrent, current.images], [10, true, "new"]);
  assert.deepEqual([before.revision, before.isCurrent, before.cause], [9, false, "first"]);
  assert.deepEqual(before.patch, [
    {
      op: "replace",
      path: "/spec/template",
      value: {
        metadata: { labels: { app: "web" } },
        spec: { containers: [{ name: "a", image: "old" }] },
      },
    },
    { op: "add", path: "/metadata/annotations/kubernetes.io~1change-cause", value: "first" },
  ]);
});

test("a ControllerRevision is the patch itself", () => {
  const template = { $patch: "replace", spec: { containers: [{ image: "x" }] } };
  const data = { spec: { template } };
  const keeper = owned("s", "web-1", { metadata: {}, body: { data, revision: 4 } });
  const [one] = revisionsOf({ metadata: { uid: "s" } }, [keeper]);
  assert.deepEqual([one.revision, one.images, one.patch], [4, "x", data]);
});

test("images are read and patched where the kind has them", () => {
  const spec = {
    initContainers: [{ name: "i", image: "1" }],
    containers: [{ name: "c", image: "2" }],
  };
  const cronJob = { spec: { jobTemplate: { spec: { template: { spec } } } } };
  const images = imagesOf("cronjobs.batch", cronJob);
  assert.deepEqual(images.map(({ name, image }) => name + image), ["i1", "c2"]);
  assert.deepEqual(imagePatch("cronjobs.batch", images), cronJob);
  assert.deepEqual(imagePatch("pods", images), { spec });
});

test("a Job made by hand is its CronJob's, by a name that fits", () => {
  const cronJob = {
    metadata: { name: "n".repeat(52), uid: "u" },
    spec: { jobTemplate: { metadata: { annotations: { a: "b" } }, spec: { backoffLimit: 1 } } },
  };
  const { metadata, spec } = jobOf(cronJob, "manual-abcdef");
  assert.ok(metadata.name.length <= 63 && metadata.name.endsWith("-manual-abcdef"));
  assert.equal(metadata.ownerReferences[0].uid, "u");
  assert.equal(metadata.annotations.a, "b");
  assert.deepEqual(spec, { backoffLimit: 1 });
});

test("what stays, what is lost when a node is drained", () => {
  const pod = (name, { owner, phase = "Running", volumes, annotations } = {}) => ({
    metadata: {
      name,
      annotations,
      ownerReferences: owner && [{ kind: owner, controller: true }],
    },
    spec: { volumes },
    status: { phase },
  });
  const plan = drainPlan([
    pod("set", { owner: "ReplicaSet", volumes: [{ emptyDir: {} }] }),
    pod("guard", { owner: "DaemonSet" }),
    pod("ended", { owner: "DaemonSet", phase: "Succeeded" }),
    pod("static", { annotations: { "kubernetes.io/config.mirror": "" } }),
    pod("alone"),
    pod("done", { phase: "Failed", volumes: [{ emptyDir: {} }] }),
  ]);
  const names = (pods) => pods.map(({ metadata }) => metadata.name);
  const found = Object.entries(plan).map(([key, pods]) => [key, names(pods)]);
  assert.deepEqual(Object.fromEntries(found), {
    leaving: ["set", "ended", "alone", "done"],
    staying: ["guard", "static"],
    unowned: ["alone"],
    withData: ["set"],
  });
});

test("a kind without a template of ours begins with what every object has", () => {
  const text = template({ id: "a.b.c", group: "b.c", version: "v2", kind: "A" });
  assert.equal(text, "apiVersion: b.c/v2\nkind: A\nmetadata:\n  name: example\n");
});
