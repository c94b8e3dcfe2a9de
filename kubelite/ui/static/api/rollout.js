// What needs more than one request: revisions and going back to one, and draining a node.

import { drainPlan } from "../model/drain.js";
import { byId, path } from "../model/kinds.js";
import { keeperOf, revisionsOf } from "../model/revisions.js";
import { cordon, JSON_PATCH, STRATEGIC } from "./actions.js";
import { ApiError, getJson, sendJson, withQuery } from "./http.js";

const EVICTION_PAUSE_MS = 1000;

/** The revisions of a workload, the newest first. */
export async function readRevisions(resources, resource, object) {
  const keeper = byId(resources, keeperOf(resource.id).resource);
  const { namespace } = object.metadata;
  return revisionsOf(object, (await getJson(path(keeper, { namespace }))).items);
}

export function rollBack(resource, { namespace, name }, { patch }) {
  const type = keeperOf(resource.id).type === "json" ? JSON_PATCH : STRATEGIC;
  return sendJson("PATCH", path(resource, { namespace, name }), patch, type);
}

/** The pods on a node, as `drainPlan` sorts them. */
export async function readDrainPlan(node) {
  const selectors = { fieldSelector: `spec.nodeName=${node}` };
  return drainPlan((await getJson(withQuery("/api/v1/pods", selectors))).items);
}

/**
 * Cordons a node and evicts what can leave it; an eviction that a disruption budget does not allow
 * yet is tried again. Resolves to a sentence when all have been evicted.
 */
export async function drain(resource, { name }) {
  await cordon(resource, { name }, true);
  const { leaving } = await readDrainPlan(name);
  await Promise.all(leaving.map(({ metadata }) => evict(metadata)));
  return `${name} is drained: ${leaving.length} pods evicted`;
}

async function evict({ namespace, name, uid }) {
  const address = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${name}/eviction`;
  const eviction = {
    apiVersion: "policy/v1",
    kind: "Eviction",
    metadata: { namespace, name },
    deleteOptions: { preconditions: { uid } },
  };
  for (;;) {
    try {
      return await sendJson("POST", address, eviction);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.code === 404 || error.code === 409) return undefined; // gone, or another by now
      if (error.code !== 429) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, EVICTION_PAUSE_MS));
  }
}
