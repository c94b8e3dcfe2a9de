// Ports of pods on this machine, which the page's server opens.

import { request, withQuery } from "./http.js";

/** The address of a page at which a port of a pod is reached, for as long as that server runs. */
export async function forwardPort({ namespace, name }, port) {
  const address = withQuery("/ui/forward", { namespace, pod: name, port });
  const opened = await (await request(address, { method: "POST" })).json();
  return `http://${opened.address}:${opened.port}/`;
}
