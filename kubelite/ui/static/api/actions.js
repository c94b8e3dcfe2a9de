// Changes to objects. Each raises ApiError where the server refuses.

import { path } from "../model/kinds.js";
import { imagePatch, jobOf } from "../model/workloads.js";
import { request, sendJson, withQuery, getText, YAML_TYPE } from "./http.js";

const MERGE = "application/merge-patch+json";
export const JSON_PATCH = "application/json-patch+json";
export const STRATEGIC = "application/strategic-merge-patch+json";

export function remove(resource, { namespace, name }) {
  return sendJson("DELETE", path(resource, { namespace, name }), {
    propagationPolicy: "Background",
  });
}

export function scale(resource, { namespace, name }, replicas) {
  return sendJson(
    "PATCH",
    path(resource, { namespace, name, subresource: "scale" }),
    { spec: { replicas } },
    MERGE,
  );
}

/** As kubectl does it: an annotation of the template, so that its pods are made anew. */
export function restart(resource, { namespace, name }, now) {
  const annotations = { "kubectl.kubernetes.io/restartedAt": now.toISOString() };
  const body = { spec: { template: { metadata: { annotations } } } };
  return sendJson("PATCH", path(resource, { namespace, name }), body, STRATEGIC);
}

export function cordon(resource, { name }, unschedulable) {
  return sendJson("PATCH", path(resource, { name }), { spec: { unschedulable } }, MERGE);
}

export function suspend(resource, { namespace, name }, isSuspended) {
  return sendJson(
    "PATCH",
    path(resource, { namespace, name }),
    { spec: { suspend: isSuspended } },
    MERGE,
  );
}

/** `changes` are { list, name, image } of containers. */
export function setImages(resource, { namespace, name }, changes) {
  const patch = imagePatch(resource.id, changes);
  return sendJson("PATCH", path(resource, { namespace, name }), patch, STRATEGIC);
}

/** A Job of a CronJob now, whatever its schedule. */
export function trigger(jobs, cronJob, now) {
  const job = jobOf(cronJob, `manual-${now.getTime().toString(36).slice(-6)}`);
  return sendJson("POST", path(jobs, { namespace: cronJob.metadata.namespace }), job);
}

export function readYaml(resource, { namespace, name }) {
  return getText(path(resource, { namespace, name }), { accept: YAML_TYPE });
}

/**
 * Replaces the object, or with `dryRun` only tries to, which resolves to what would be stored.
 * Unknown fields are refused.
 */
export async function writeYaml(resource, { namespace, name }, text, { dryRun }) {
  const address = withQuery(path(resource, { namespace, name }), {
    fieldValidation: "Strict",
    dryRun: dryRun ? "All" : "",
  });
  const options = { method: "PUT", body: text, contentType: YAML_TYPE };
  await request(address, options); // refusals come as JSON
  return dryRun ? getText(address, { ...options, accept: YAML_TYPE }) : "";
}
