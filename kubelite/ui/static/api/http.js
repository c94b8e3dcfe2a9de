// Requests to the API server, and what went wrong with them as one sentence.

// A page that is left is kept for going back, and its watches with it: a few of them take all the
// connections that a browser has for one server.
const leaving = new AbortController();
globalThis.addEventListener?.("pagehide", () => leaving.abort());
globalThis.addEventListener?.("pageshow", (event) => {
  if (event.persisted) location.reload();
});

export const JSON_TYPE = "application/json";
export const YAML_TYPE = "application/yaml";
export const TABLE_TYPE = "application/json;as=Table;v=v1;g=meta.k8s.io";
export const DISCOVERY_TYPE =
  "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** An answer that is none of 2xx: `code`, the Status where there is one, and its causes. */
export class ApiError extends Error {
  constructor(code, status) {
    super(status?.message ?? `the server answered ${code}`);
    this.code = code;
    this.causes = status?.details?.causes ?? [];
  }
}

export async function request(
  path,
  { method = "GET", accept = JSON_TYPE, body, contentType, signal } = {},
) {
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = contentType ?? JSON_TYPE;
  const ends = signal ? AbortSignal.any([signal, leaving.signal]) : leaving.signal;
  const answer = await fetch(path, {
    method,
    headers,
    body,
    signal: ends,
    credentials: "same-origin",
  });
  if (!answer.ok) throw new ApiError(answer.status, await statusOf(answer));
  return answer;
}

async function statusOf(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

export async function getJson(path, options) {
  return (await request(path, options)).json();
}

export async function getText(path, options) {
  return (await request(path, options)).text();
}

export function sendJson(method, path, document, contentType) {
  return getJson(path, { method, body: JSON.stringify(document), contentType });
}

/** A path with the words of a query that are not empty. */
export function withQuery(path, words) {
  const query = new URLSearchParams(
    Object.entries(words).filter(([, value]) => value !== undefined && value !== ""),
  );
  return query.size ? `${path}?${query}` : path;
}
