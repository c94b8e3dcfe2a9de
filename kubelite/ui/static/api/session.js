// The session of the page, and what it may know from the start.

import { resourcesOf } from "../model/kinds.js";
import { ApiError, DISCOVERY_TYPE, getJson, request } from "./http.js";

/**
 * Swaps the one-time token in the address for the session's cookie, and takes it out of the
 * address.
 */
export async function open() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await request("/ui/session", { method: "POST", body: token, contentType: "text/plain" });
}

/** { version, mode, context, server, namespace } */
export function info() {
  return getJson("/ui/info");
}

/** Every kind that can be listed. Groups that do not answer are left out. */
export async function discover() {
  const [core, groups] = await Promise.all([
    getJson("/api/v1"),
    getJson("/apis", { accept: DISCOVERY_TYPE }).catch(unlessEnded),
  ]);
  return resourcesOf(core, groups);
}

function unlessEnded(error) {
  if (error instanceof ApiError && error.code !== 401) return {};
  throw error;
}
