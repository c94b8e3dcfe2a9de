// New objects from YAML.

import { byKind, path } from "../model/kinds.js";
import { request, sendJson, withQuery, YAML_TYPE } from "./http.js";

/** [{ line, object }] of a text. Raises ApiError where it cannot be read. */
export async function readDocuments(text) {
  const options = { method: "POST", body: text, contentType: YAML_TYPE };
  return (await (await request("/ui/documents", options)).json()).documents;
}

/**
 * Creates an object, or with `dryRun` only tries to. One without a namespace goes into `namespace`.
 * Unknown fields are refused. Resolves to { resource, object }.
 */
export async function create(resources, object, { namespace, dryRun }) {
  const resource = byKind(resources, object.apiVersion, object.kind);
  if (!resource)
    throw new Error(`the server has no kind ${object.kind} of ${object.apiVersion ?? "no API"}`);
  const place = { namespace: object.metadata?.namespace ?? namespace };
  const address = withQuery(path(resource, place), {
    fieldValidation: "Strict",
    dryRun: dryRun ? "All" : "",
  });
  return { resource, object: await sendJson("POST", address, object) };
}
