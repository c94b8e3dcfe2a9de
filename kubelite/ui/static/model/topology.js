// How the objects of a namespace hang together, from Ingress to Node, with a place for each. Pure.

import { condition, nodeProblem, podProblem, podState } from "./health.js";

/** Titles of the layers, and the kinds that stand in each. */
export const LAYERS = [
  ["Ingress", ["ingresses.networking.k8s.io"]],
  ["Service", ["services"]],
  ["Workload", ["deployments.apps", "statefulsets.apps", "daemonsets.apps", "cronjobs.batch"]],
  ["ReplicaSet, Job", ["replicasets.apps", "jobs.batch"]],
  ["Pod", ["pods"]],
  ["Node", ["nodes"]],
];
const LAYER_OF = new Map(LAYERS.flatMap(([, ids], layer) => ids.map((id) => [id, layer])));
const NODES = LAYERS.length - 1;

/**
 * { items: [{ key, resource, object, layer, slot, word, level }], links: [[key, key]], slots } of
 * `lists`, { resource id: objects }. A slot is a place from above in a layer.
 */
export function topology(lists, now) {
  const items = new Map();
  for (const [resource, objects] of Object.entries(lists)) {
    for (const object of objects) {
      if (isShown(resource, object)) {
        const layer = LAYER_OF.get(resource);
        items.set(object.metadata.uid, { key: object.metadata.uid, resource, object, layer });
      }
    }
  }
  const links = linksOf([...items.values()]).filter((link) => link.every((key) => items.has(key)));
  const slots = place(items, links);
  for (const item of items.values()) Object.assign(item, health(item, now));
  return { items: [...items.values()], links, slots };
}

/** ReplicaSets of earlier revisions and Jobs that have ended are history. */
function isShown(resource, { spec, status, metadata }) {
  const isOwned = Boolean(metadata.ownerReferences?.length);
  if (resource === "replicasets.apps") return !isOwned || spec.replicas > 0 || status?.replicas > 0;
  if (resource === "jobs.batch") return !isOwned || Boolean(status?.active);
  return true;
}

function linksOf(items) {
  const of = (...ids) => items.filter(({ resource }) => ids.includes(resource));
  const [services, nodes] = [of("services"), of("nodes")];
  const links = [];
  for (const { key, object } of items)
    for (const { uid } of object.metadata.ownerReferences ?? []) links.push([uid, key]);
  for (const { key, object } of of("ingresses.networking.k8s.io")) {
    for (const service of services)
      if (isSame(service.object, object) && backends(object).has(service.object.metadata.name))
        links.push([key, service.key]);
  }
  for (const service of services) {
    for (const { key, object, resource } of items) {
      const isAlone = resource === "pods" && !object.metadata.ownerReferences?.length;
      const labels = isAlone ? object.metadata.labels : object.spec?.template?.metadata?.labels;
      const isTarget = isAlone || LAYERS[2][1].includes(resource);
      if (isTarget && isSame(service.object, object) && selects(service.object, labels))
        links.push([service.key, key]);
    }
  }
  const nodeKeys = new Map(nodes.map(({ key, object }) => [object.metadata.name, key]));
  for (const { key, object } of of("pods")) links.push([key, nodeKeys.get(object.spec.nodeName)]);
  return links;
}

function isSame(a, b) {
  return a.metadata.namespace === b.metadata.namespace;
}

function backends({ spec = {} }) {
  const paths = (spec.rules ?? []).flatMap(({ http }) => http?.paths ?? []);
  const all = [spec.defaultBackend, ...paths.map(({ backend }) => backend)];
  return new Set(all.map((backend) => backend?.service?.name));
}

function selects({ spec }, labels = {}) {
  const wanted = Object.entries(spec?.selector ?? {});
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}

/** Gives each item its slot, amid those of what hangs on it. Returns how many slots there are. */
function place(items, links) {
  const below = new Map();
  for (const [from, to] of links) below.set(from, [...(below.get(from) ?? []), to]);
  let next = 0;
  const visit = (item) => {
    item.slot = -1; // on its way
    const own = (below.get(item.key) ?? [])
      .map((key) => items.get(key))
      .filter(({ layer, slot }) => layer < NODES && slot === undefined);
    own.forEach(visit);
    const slots = own.map(({ slot }) => slot);
    item.slot = slots.length ? (Math.min(...slots) + Math.max(...slots)) / 2 : next;
    if (!slots.length) next += 1;
  };
  const order = [...items.values()].sort((a, b) => a.layer - b.layer || compareNames(a, b));
  for (const item of order) if (item.layer < NODES && item.slot === undefined) visit(item);
  let lowest = -1;
  const above = (node) => links.filter(([, to]) => to === node.key).map(([from]) => from);
  for (const node of order.filter(({ layer }) => layer === NODES)) {
    const slots = above(node).map((key) => items.get(key).slot);
    const middle = slots.length ? slots.reduce((sum, slot) => sum + slot, 0) / slots.length : 0;
    node.slot = Math.max(lowest + 1, middle);
    lowest = node.slot;
  }
  return Math.ceil(Math.max(next, lowest + 1));
}

function compareNames(a, b) {
  const name = ({ object: { metadata } }) => `${metadata.namespace ?? ""}/${metadata.name}`;
  return name(a) < name(b) ? -1 : 1;
}

/** A word about the state of an item, and its level. */
function health({ resource, object }, now) {
  const { spec = {}, status = {} } = object;
  if (resource === "pods")
    return { word: podState(object), level: podProblem(object, now)?.level ?? "good" };
  if (resource === "nodes") {
    const problem = nodeProblem(object);
    return { word: problem?.title ?? "Ready", level: problem?.level ?? "good" };
  }
  if (resource === "daemonsets.apps")
    return replicas(status.numberReady, status.desiredNumberScheduled ?? 0);
  if (spec.replicas !== undefined) return replicas(status.readyReplicas, spec.replicas);
  if (resource === "jobs.batch") {
    const hasFailed = condition(object, "Failed")?.status === "True";
    return hasFailed ? { word: "Failed", level: "bad" } : { word: "", level: "good" };
  }
  return { word: spec.type ?? "", level: "" };
}

function replicas(ready = 0, wanted) {
  return { word: `${ready}/${wanted} ready`, level: ready < wanted ? "warn" : "good" };
}
