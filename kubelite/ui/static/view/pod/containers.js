// The containers of a pod: state, last exit and why, probes, resources.

import { html } from "../../vendor/preact-htm.js";
import { exitWords } from "../../model/health.js";
import { probesOf, containersOf } from "../../model/pod/containers.js";
import { byId } from "../../model/kinds.js";
import { eventsOf, eventsPath } from "../events.js";
import { useCollection, usePage } from "../hooks.js";
import { Age, Facts, State } from "../parts.js";

export function Containers({ pod, now }) {
  const failures = useProbeFailures(pod);
  return html`<ul class="containers">${containersOf(pod).map(
    ({ role, spec, status }) => html`<li key=${`${role} ${spec.name}`}>
    <div class="head"><b>${spec.name}</b>${role && html`<span class="tag">${role}</span>`}
      <${ContainerState} status=${status} now=${now} />
      ${
        status?.restartCount > 0 &&
        html`<span class="tag warn">
        ${status.restartCount} restarts</span>`
      }
      ${
        status?.state?.running &&
        !status.ready &&
        !role &&
        html`<span
        class="tag warn">not ready</span>`
      }</div>
    <${Facts} facts=${[
      ["Image", html`<code>${spec.image}</code>`],
      [
        "Last exit",
        status?.lastState?.terminated &&
          html`<${LastExit} ended=${status.lastState.terminated} now=${now} />`,
      ],
      ["Why", status?.state?.waiting?.message ?? status?.state?.terminated?.message],
      ["Resources", resources(spec.resources)],
      [
        "Ports",
        spec.ports
          ?.map(
            ({ containerPort, protocol = "TCP", name }) =>
              `${name ? `${name} ` : ""}${containerPort}/${protocol}`,
          )
          .join(", "),
      ],
      [
        "Probes",
        hasProbes(spec) &&
          html`<${Probes} now=${now}
            probes=${probesOf(spec, { status, events: failures, now })} />`,
      ],
    ]} /></li>`,
  )}</ul>`;
}

function ContainerState({ status, now }) {
  const state = status?.state ?? {};
  if (state.running)
    return html`<span><${State} word="Running" /> <span class="dim">since <${Age}
      time=${state.running.startedAt} now=${now} /></span></span>`;
  if (state.terminated) {
    const { exitCode, finishedAt } = state.terminated;
    return html`<span><${State} word=${exitCode === 0 ? "Completed" : exitWords(state.terminated)}
      level=${exitCode === 0 ? "good" : "bad"} />
      <span class="dim"> <${Age} time=${finishedAt} now=${now} /> ago</span></span>`;
  }
  const reason = state.waiting?.reason ?? "Waiting";
  return html`<${State} word=${reason} />`;
}

/** The events of probes that failed, where the pod has probes and the API has events. */
function useProbeFailures(pod) {
  const { resources } = usePage();
  const asks = containersOf(pod).some(({ spec }) => hasProbes(spec)) && byId(resources, "events");
  const state = useCollection(asks ? eventsPath(pod.metadata) : "", {
    selectors: { fieldSelector: `involvedObject.uid=${pod.metadata.uid},reason=Unhealthy` },
  });
  return eventsOf(state);
}

function hasProbes(spec) {
  return probesOf(spec).length > 0;
}

function Probes({ probes, now }) {
  return probes.map(
    ({ name, text, result }) => html`<div key=${name} class="probe">
    <div>${name}: <code>${text}</code> ${
      result && html`<${State} word=${result.word} level=${result.level} />`
    }</div>
    ${
      result?.failure &&
      html`<p class="dim">${result.failure.message} <${Age}
      time=${result.failure.last} now=${now} /> ago</p>`
    }
  </div>`,
  );
}

function LastExit({ ended, now }) {
  return html`${exitWords(ended)} <span class="dim"><${Age} time=${ended.finishedAt}
    now=${now} /> ago</span>${ended.message && html`<pre>${ended.message}</pre>`}`;
}

function resources({ requests = {}, limits = {} } = {}) {
  const names = [...new Set([...Object.keys(requests), ...Object.keys(limits)])].sort();
  return names
    .map((name) => `${name} ${requests[name] ?? "–"} requested, ${limits[name] ?? "no"} limit`)
    .join(" · ");
}
