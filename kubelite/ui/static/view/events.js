// The events of one object.

import { html } from "../vendor/preact-htm.js";
import { useCollection, useNow } from "./hooks.js";
import { Age, Nothing, Problem, State } from "./parts.js";

export function eventsPath({ namespace = "default" }) {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
}

/** The events of a collection, the last first, each with the time when it was seen `last`. */
export function eventsOf({ rows }) {
  return [...rows.values()]
    .map(({ object }) => ({
      ...object,
      last:
        object.series?.lastObservedTime ??
        object.lastTimestamp ??
        object.eventTime ??
        object.metadata.creationTimestamp,
    }))
    .sort((a, b) => b.last.localeCompare(a.last));
}

export function Events({ metadata }) {
  const state = useCollection(eventsPath(metadata), {
    selectors: { fieldSelector: `involvedObject.uid=${metadata.uid}` },
  });
  const now = useNow();
  const events = eventsOf(state);
  if (state.error && !events.length) return html`<${Problem} error=${state.error} />`;
  if (!events.length)
    return html`<${Nothing}>
      ${state.phase === "loading" ? "Reading …" : "No events: they are kept for an hour."}
      </${Nothing}>`;
  return html`<ol class="events">${events.map(
    (event) => html`<li key=${event.metadata.uid}>
    <span class="when"><${Age} time=${event.last} now=${now} />
      ${
        (event.count ?? event.series?.count ?? 1) > 1 &&
        html`<span
      class="dim"> ×${event.count ?? event.series.count}</span>`
      }</span>
    <div><${State} word=${event.reason} level=${event.type === "Warning" ? "warn" : "good"} /><p>
      ${event.message}</p></div>
  </li>`,
  )}</ol>`;
}
