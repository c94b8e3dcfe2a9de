// Why a pod is on no node: the scheduler's word on each.

import { html } from "../../vendor/preact-htm.js";
import { condition } from "../../model/health.js";
import { verdicts } from "../../model/pod/placement.js";
import { getJson, withQuery } from "../../api/http.js";
import { useLoaded } from "../hooks.js";
import { State } from "../parts.js";

export function Placement({ pod }) {
  const { namespace, name, resourceVersion } = pod.metadata;
  const address = withQuery("/ui/why", { namespace, pod: name });
  const { value } = useLoaded(() => getJson(address), [address, resourceVersion]);
  if (!value) return null;
  return html`<section class="placement" aria-labelledby="placement">
    <h3 id="placement">What the scheduler says of each node</h3>
    <table class="plain">
      <thead><tr><th scope="col">Node</th><th scope="col">Verdict</th>
        <th scope="col">Why</th></tr></thead>
      <tbody>${verdicts(value).map(({ node, isFeasible, text }) => html`<tr key=${node}>
        <th scope="row">${node}</th>
        <td><${State} word=${isFeasible ? "fits" : "does not fit"}
          level=${isFeasible ? "good" : "bad"} /></td>
        <td>${text}</td>
      </tr>`)}</tbody>
    </table>
  </section>`;
}

/** Whether the scheduler has found no node for a pod. */
export function isUnplaced(pod) {
  return !pod.spec.nodeName && condition(pod, "PodScheduled")?.status === "False";
}
