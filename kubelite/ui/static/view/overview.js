// The first screen: what is wrong, before everything else.

import { html } from "../vendor/preact-htm.js";
import { claimProblem, nodeProblem, podCounts, podProblem } from "../model/health.js";
import { formatOpen } from "../model/route.js";
import { milliseconds } from "../model/time.js";
import { Spark, useFigures } from "./charts.js";
import { bytes, cores, quantity } from "../model/figures.js";
import { useCollection, useNow, usePage } from "./hooks.js";
import { Age, Nothing, Problem, State } from "./parts.js";

const MOST = 200; // problems that are shown; the lists have the rest
const MEASURED = 8; // nodes whose kubelets are asked what is used
const RECENT_MS = 3600_000;

export function Overview() {
  const { route, resources } = usePage();
  const now = useNow();
  const scope = route.namespace ? `/namespaces/${encodeURIComponent(route.namespace)}` : "";
  const has = (id) => resources.some((resource) => resource.id === id);
  const pods = useCollection(`/api/v1${scope}/pods`);
  const claims = useCollection(
    has("persistentvolumeclaims") ? `/api/v1${scope}/persistentvolumeclaims` : "",
  );
  const events = useCollection(has("events") ? `/api/v1${scope}/events` : "", {
    selectors: { fieldSelector: "type=Warning" },
  });
  const nodes = useCollection(has("nodes") ? "/api/v1/nodes" : "");
  const problems = problemsOf({ pods, claims, nodes }, now);
  return html`<div class="overview">
    <h1 class="sr">Overview</h1>
    <${Tiles} pods=${pods} nodes=${nodes} problems=${problems} />
    ${pods.error && html`<${Problem} error=${pods.error} />`}
    <section aria-labelledby="wrong"><h2 id="wrong">What is wrong</h2>
      ${
        pods.phase === "loading"
          ? html`<${Nothing}>Reading …</${Nothing}>`
          : html`<${Problems}
        problems=${problems} now=${now} />`
      }
    </section>
    ${
      has("nodes") &&
      html`<section aria-labelledby="nodes"><h2 id="nodes">Nodes</h2><${Nodes}
      nodes=${nodes} pods=${pods} now=${now} /></section>`
    }
    <section aria-labelledby="warnings"><h2 id="warnings">Warnings of the last hour</h2>
      <${Warnings} events=${events} now=${now} /></section>
  </div>`;
}

function objects(state) {
  return [...state.rows.values()].map(({ object }) => object);
}

function problemsOf({ pods, claims, nodes }, now) {
  const all = [];
  const collect = (resource, kind, state, judge) => {
    for (const object of objects(state)) {
      const problem = judge(object, now);
      if (problem) all.push({ ...problem, resource, kind, metadata: object.metadata });
    }
  };
  collect("nodes", "Node", nodes, nodeProblem);
  collect("pods", "Pod", pods, podProblem);
  collect("persistentvolumeclaims", "PersistentVolumeClaim", claims, claimProblem);
  const rank = { bad: 0, warn: 1 };
  return all.sort(
    (a, b) =>
      rank[a.level] - rank[b.level] ||
      b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp),
  );
}

function Tiles({ pods, nodes, problems }) {
  const { info } = usePage();
  const counts = podCounts(objects(pods));
  const ready = objects(nodes).filter((node) => nodeProblem(node)?.level !== "bad").length;
  const tiles = [
    [
      "Problems",
      problems.length,
      problems.some(({ level }) => level === "bad") ? "bad" : problems.length ? "warn" : "good",
    ],
    ["Running", counts.Running, ""],
    ["Pending", counts.Pending, counts.Pending ? "warn" : ""],
    ["Failed", counts.Failed, counts.Failed ? "bad" : ""],
    ["Succeeded", counts.Succeeded, ""],
    ["Nodes ready", `${ready}/${nodes.rows.size}`, ready < nodes.rows.size ? "bad" : ""],
    ...(info.boot ? [["Started in", milliseconds(info.boot), ""]] : []),
  ];
  return html`<dl class="tiles">${tiles.map(
    ([title, value, level]) => html`<div key=${title}
    class=${level}><dt>${title}</dt><dd>${value}</dd></div>`,
  )}</dl>`;
}

function Problems({ problems, now }) {
  const { go } = usePage();
  if (!problems.length)
    return html`<p class="fine"><${State} word="Nothing is wrong" level="good" /></p>`;
  return html`<ul class="problems">${problems.slice(0, MOST).map(
    ({ resource, kind, metadata, level, title, detail }) => html`
    <li key=${metadata.uid} class=${level}>
      <button type="button" onClick=${() => go({ open: formatOpen({ resource, ...metadata }) })}>
        <${State} word=${title} level=${level} />
        <span class="what"><span class="dim">
          ${kind} ${metadata.namespace ? `${metadata.namespace}/` : ""}</span>${metadata.name}
          </span>
        <span class="detail">${detail}</span>
        <span class="dim age"><${Age} time=${metadata.creationTimestamp} now=${now} /></span>
      </button>
    </li>`,
  )}</ul>
    ${problems.length > MOST && html`<p class="dim">and ${problems.length - MOST} more</p>`}`;
}

function Nodes({ nodes, pods, now }) {
  const { go } = usePage();
  const perNode = new Map();
  for (const { spec, status } of objects(pods)) {
    if (status?.phase === "Running")
      perNode.set(spec.nodeName, (perNode.get(spec.nodeName) ?? 0) + 1);
  }
  if (nodes.phase === "failed") return html`<${Problem} error=${nodes.error} />`;
  if (!nodes.rows.size) return html`<${Nothing}>No node has joined.</${Nothing}>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of nodes"><table
    class="plain">
    <thead><tr><th scope="col">Node</th><th scope="col">State</th><th scope="col">Conditions</th>
      <th scope="col">CPU</th><th scope="col">Memory</th><th scope="col">Pods</th><th
      scope="col">Version</th><th scope="col">Age</th></tr></thead>
    <tbody>${objects(nodes).map(
      (node, index) => html`<${Node} key=${node.metadata.uid} node=${node} now=${now} go=${go}
      pods=${perNode.get(node.metadata.name) ?? 0} isMeasured=${index < MEASURED} />`,
    )}</tbody></table></div>`;
}

function Node({ node, pods, now, go, isMeasured }) {
  const { name, creationTimestamp } = node.metadata;
  const { allocatable = {}, nodeInfo } = node.status ?? {};
  const problem = nodeProblem(node);
  const series = useFigures(isMeasured ? name : "").get("node");
  const figure = (key, words, quantityName) => html`<td><${Spark} series=${series} name=${key}
    words=${words} limit=${quantity(node.status?.capacity?.[quantityName])} now=${now} />
    <span class="dim">${series?.length > 0 && "of "}${words(quantity(allocatable[quantityName]))}
    </span></td>`;
  return html`<tr>
    <th scope="row"><button type="button" class="link"
      onClick=${() => go({ open: `nodes/${name}` })}>${name}</button></th>
    <td><${State} word=${problem?.title ?? "Ready"} level=${problem?.level ?? "good"} /></td>
    <td class="dim">${problem?.detail || "no pressure"}</td>
    ${figure("cpu", cores, "cpu")}${figure("memory", bytes, "memory")}
    <td>${pods}<span class="dim"> of ${allocatable.pods}</span></td>
    <td class="dim">${nodeInfo?.kubeletVersion}</td>
    <td><${Age} time=${creationTimestamp} now=${now} /></td>
  </tr>`;
}

function Warnings({ events, now }) {
  const recent = objects(events)
    .map((event) => ({
      event,
      time:
        event.lastTimestamp ??
        event.series?.lastObservedTime ??
        event.eventTime ??
        event.metadata.creationTimestamp,
    }))
    .filter(({ time }) => now - Date.parse(time) < RECENT_MS)
    .sort((a, b) => b.time.localeCompare(a.time))
    .slice(0, 50);
  if (events.phase === "failed") return html`<${Problem} error=${events.error} />`;
  if (!recent.length) return html`<${Nothing}>None.</${Nothing}>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of warnings"><table
    class="plain">
    <thead><tr><th scope="col">Last</th><th scope="col">Reason</th><th scope="col">Object</th><th
      scope="col">Message</th><th scope="col">Times</th></tr></thead>
    <tbody>${recent.map(
      ({ event, time }) => html`<tr key=${event.metadata.uid}>
      <td><${Age} time=${time} now=${now} /></td><td><${State} word=${event.reason} level="warn" />
        </td>
      <td><span class="dim">${event.involvedObject.kind} </span>${event.involvedObject.name}</td>
      <td class="message">${event.message}</td><td>${event.count ?? event.series?.count ?? 1}</td>
    </tr>`,
    )}</tbody></table></div>`;
}
