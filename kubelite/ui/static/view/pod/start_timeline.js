// How a pod started, step by step.

import { html } from "../../vendor/preact-htm.js";
import { placed } from "../../model/pod/start.js";
import { milliseconds } from "../../model/time.js";
import { getJson, withQuery } from "../../api/http.js";
import { useLoaded } from "../hooks.js";

export function StartTimeline({ pod }) {
  const { namespace, name, resourceVersion } = pod.metadata;
  const address = withQuery("/ui/timeline", { namespace, pod: name });
  const { value: timeline } = useLoaded(() => getJson(address), [address, resourceVersion]);
  const steps = timeline ? placed(stepsOf(timeline, pod)) : [];
  if (steps.length < 2) return null;
  const words = timeline.isExact ? milliseconds : (value) => `${Math.round(value / 1000)} s`;
  const precision = timeline.isExact ? "" : ", known in whole seconds";
  const last = steps[steps.length - 1];
  return html`<section class="timeline" aria-labelledby="start">
    <h3 id="start">Start <span class="dim">${words(last.since)}${precision}</span></h3>
    <ol>${steps.map(
      (step) => html`<li key=${step.name}>
      <span class="step">${step.name}</span>
      <span class="track" aria-hidden="true"><span class=${step.took ? "span" : "mark"}
        style=${bar(step)}></span></span>
      <${Figure} step=${step} words=${words} isExact=${step.isExact || !timeline.isExact} />
    </li>`,
    )}</ol>
  </section>`;
}

/** Without the end of init containers where there are none. */
function stepsOf(timeline, { spec }) {
  if (spec.initContainers?.length) return timeline;
  return { ...timeline, steps: timeline.steps.filter(({ step }) => step !== "initialized") };
}

function Figure({ step, words, isExact }) {
  if (!isExact) return html`<span class="figure dim">by the second</span>`;
  return html`<span class="figure">${words(step.since)}
    ${step.took > 0 && html`<span class="dim"> +${words(step.took)}</span>`}</span>`;
}

function bar({ left, took, width }) {
  return { left: `${left}%`, width: took ? `max(3px, ${width}%)` : undefined };
}
