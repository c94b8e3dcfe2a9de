// An object's facts: what it is, its conditions, whose it is, what is its own.

import { html } from "../vendor/preact-htm.js";
import { isGoodCondition, podProblem, podState, stateLevel } from "../model/health.js";
import { byId, byKind, path } from "../model/kinds.js";
import { formatOpen } from "../model/route.js";
import { factsOf, ownedBy } from "../model/facts.js";
import { AutoscalerUse, NodeUse, PodUse } from "./charts.js";
import { useCollection, useNow, usePage } from "./hooks.js";
import { Containers } from "./pod/containers.js";
import { isUnplaced, Placement } from "./pod/placement.js";
import { Age, Facts, Pairs, State } from "./parts.js";

export function Summary({ resource, object }) {
  const { go, resources } = usePage();
  const now = useNow();
  const { metadata } = object;
  const filterBy = (key, value) =>
    go({ screen: "list", resource: resource.id, filter: `${key}=${value}` });
  return html`<div class="summary">
    <${WhatIsWrong} resource=${resource} object=${object} now=${now} />
    <${Facts} facts=${[
      ...factsOf(resource.id, object),
      ["Created", html`<${Age} time=${metadata.creationTimestamp} now=${now} /> ago`],
      [
        "Deleted",
        metadata.deletionTimestamp &&
          html`<${Age} time=${metadata.deletionTimestamp} now=${now} /> ago`,
      ],
      ["Finalizers", metadata.finalizers?.join(", ")],
      ["Labels", html`<${Pairs} pairs=${metadata.labels} choose=${filterBy} />`],
    ]} />
    ${resource.id === "pods" && isUnplaced(object) && html`<${Placement} pod=${object} />`}
    ${resource.id === "nodes" && html`<${NodeUse} node=${object} now=${now} />`}
    ${resource.id === "pods" && html`<${PodUse} pod=${object} now=${now} />`}
    ${
      resource.id === "horizontalpodautoscalers.autoscaling" &&
      html`<${AutoscalerUse} object=${object} now=${now} />`
    }
    <${Conditions} object=${object} now=${now} />
    ${
      resource.id === "pods" &&
      html`<section><h3>Containers</h3><${Containers} pod=${object}
      now=${now} /></section>`
    }
    ${
      (resource.id === "configmaps" || resource.id === "secrets") &&
      html`<${Data} object=${object}
      isSecret=${resource.id === "secrets"} />`
    }
    ${
      metadata.ownerReferences?.length > 0 &&
      html`<section><h3>Owned by</h3><ul class="links">${metadata.ownerReferences.map(
        (owner) => html`
      <li key=${owner.uid}><${ObjectLink}
        resource=${byKind(resources, owner.apiVersion, owner.kind)} kind=${owner.kind}
        namespace=${metadata.namespace} name=${owner.name} /></li>`,
      )}</ul></section>`
    }
    <${Owned} resource=${resource} object=${object} now=${now} />
    ${
      Object.keys(metadata.annotations ?? {}).length > 0 &&
      html`<details>
      <summary>Annotations</summary><${Pairs} pairs=${metadata.annotations} /></details>`
    }
  </div>`;
}

function WhatIsWrong({ resource, object, now }) {
  const problem = resource.id === "pods" ? podProblem(object, now) : null;
  return (
    problem &&
    html`<p class=${`wrong ${problem.level}`}><${State} word=${problem.title}
      level=${problem.level} /> ${problem.detail}</p>`
  );
}

export function ObjectLink({ resource, kind, namespace, name }) {
  const { go } = usePage();
  const title = html`<span class="dim">${kind} </span>${name}`;
  if (!resource) return html`<span>${title}</span>`;
  const target = formatOpen({
    resource: resource.id,
    namespace: resource.namespaced ? namespace : "",
    name,
  });
  return html`<button type="button" class="link" onClick=${() => go({ open: target, tab: "" })}>
    ${title}</button>`;
}

function Conditions({ object, now }) {
  const conditions = object.status?.conditions ?? [];
  if (!conditions.length) return null;
  return html`<section><h3>Conditions</h3><table class="plain conditions"><thead><tr><th
    scope="col">Condition</th><th scope="col">State</th><th scope="col">Reason</th><th
    scope="col">Since</th></tr></thead>
    <tbody>${conditions.map(
      (one) => html`<tr key=${one.type}>
      <th scope="row">${one.type}</th><td><${State} word=${one.status}
        level=${isGoodCondition(one) ? "good" : "bad"} /></td>
      <td>${one.reason && html`<span class="reason">${one.reason}</span>`}${
        one.message &&
        html`<p
        class="dim">${one.message}</p>`
      }</td>
      <td><${Age} time=${one.lastTransitionTime} now=${now} /></td></tr>`,
    )}</tbody></table></section>`;
}

/** What the object controls or selects, live. */
function Owned({ resource, object, now }) {
  const { resources } = usePage();
  const { namespace } = object.metadata;
  const question = ownedBy(resource.id, object);
  const member = question && byId(resources, question.resource);
  const { rows } = useCollection(member ? path(member, { namespace }) : "", question ?? {});
  const isOwned = ({ metadata }) =>
    !question.uid || metadata.ownerReferences?.some(({ uid }) => uid === question.uid);
  const owned = [...rows.values()].map((row) => row.object).filter(isOwned);
  if (!owned.length) return null;
  return html`<section><h3>
    ${resource.id === "services" || resource.id === "nodes" ? "Pods" : "Owns"}</h3><ul
    class="links">${owned.map(
      (item) => html`
    <li key=${item.metadata.uid}><${ObjectLink} resource=${member} kind=${member.kind}
      namespace=${item.metadata.namespace ?? namespace} name=${item.metadata.name} />
      <span class="dim"> <${Age} time=${item.metadata.creationTimestamp} now=${now} /> </span>
      ${
        member.id === "pods"
          ? html`<${State} word=${podState(item)}
        level=${podProblem(item, now)?.level ?? stateLevel(podState(item))} />`
          : html`<span
        class="dim">${replicas(item)}</span>`
      }</li>`,
    )}</ul></section>`;
}

function replicas({ spec, status }) {
  if (spec?.replicas === undefined) return "";
  return `${status?.readyReplicas ?? 0}/${spec.replicas} ready`;
}

function Data({ object, isSecret }) {
  const entries = Object.entries({ ...object.data, ...object.binaryData });
  if (!entries.length) return null;
  return html`<section><h3>Data</h3>${entries.map(
    ([key, value]) => html`<details key=${key} open=${!isSecret && entries.length <= 4}>
    <summary><code>${key}</code> <span class="dim">
      ${isSecret ? `${bytes(value)} bytes, hidden until opened` : `${value.length} characters`}
        </span></summary>
    <pre tabindex="0" aria-label=${key}>${isSecret ? decoded(value) : value}</pre></details>`,
  )}</section>`;
}

function bytes(base64) {
  return Math.floor((base64.length * 3) / 4);
}

function decoded(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new TextDecoder().decode(bytes);
}
