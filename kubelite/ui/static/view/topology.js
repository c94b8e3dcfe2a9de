// How the objects of a namespace hang together, live.

import { html, useMemo } from "../vendor/preact-htm.js";
import { byId, path } from "../model/kinds.js";
import { formatOpen } from "../model/route.js";
import { LAYERS, topology } from "../model/topology.js";
import { useCollection, useNow, usePage } from "./hooks.js";
import { Nothing, Problem, State } from "./parts.js";

const [WIDTH, HEIGHT, GAP] = [174, 44, 20]; // of a box, in pixels, and between two layers
const HEAD = 32;
const MOST = 400; // boxes; more is nothing to look at

const IDS = LAYERS.flatMap(([, ids]) => ids);

export function Topology() {
  const { route } = usePage();
  const now = useNow(5000);
  const states = useLists(route.namespace ?? "");
  const rows = Object.values(states).map((state) => state.rows);
  const { items, links, slots } = useMemo(() => topology(objectsOf(states), now), [...rows, now]);
  const error = Object.values(states).find((state) => state.error)?.error;
  const isRead = Object.values(states).some(({ phase }) => phase === "live");
  return html`<div class="topology">
    <h1>Topology</h1>
    ${error && html`<${Problem} error=${error} />`}
    ${body({ items, links, slots, isRead })}
  </div>`;
}

function body({ items, links, slots, isRead }) {
  if (items.length > MOST)
    return html`<${Nothing}>${items.length} objects are too many to be shown: choose a namespace.
      </${Nothing}>`;
  if (!items.length)
    return html`<${Nothing}>${isRead ? "There is nothing here." : "Reading …"}</${Nothing}>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Map of the objects">
    <div class="map" style=${{
      width: `${left(LAYERS.length) - GAP}px`,
      height: `${HEAD + slots * (HEIGHT + 8)}px`,
    }}>
      <${Links} items=${items} links=${links} slots=${slots} />
      ${LAYERS.map(([title], layer) => {
        const own = items.filter((item) => item.layer === layer);
        own.sort((a, b) => a.slot - b.slot);
        return html`<section key=${title} aria-label=${title}>
          <h2 style=${{ left: `${left(layer)}px` }}>${title}</h2>
          <ul>${own.map((item) => html`<${Box} key=${item.key} item=${item} />`)}</ul>
        </section>`;
      })}
    </div></div>`;
}

/** The live lists of all kinds of the map: { id: state }. Always the same kinds, in one order. */
function useLists(namespace) {
  const { resources } = usePage();
  const states = {};
  for (const id of IDS) {
    const resource = byId(resources, id);
    states[id] = useCollection(resource ? path(resource, { namespace }) : "");
  }
  return states;
}

function objectsOf(states) {
  const entries = Object.entries(states);
  return Object.fromEntries(
    entries.map(([id, { rows }]) => [id, [...rows.values()].map(({ object }) => object)]),
  );
}

function left(layer) {
  return layer * (WIDTH + GAP);
}

function top(slot) {
  return HEAD + slot * (HEIGHT + 8);
}

function Box({ item }) {
  const { go, resources } = usePage();
  const { resource, object, layer, slot, word, level } = item;
  const { kind } = byId(resources, resource);
  const target = formatOpen({ resource, ...object.metadata });
  return html`<li style=${{ left: `${left(layer)}px`, top: `${top(slot)}px` }}>
    <button type="button" class=${`box ${level}`} title=${`${kind} ${object.metadata.name}`}
      onClick=${() => go({ open: target, tab: "" })}><b>${object.metadata.name}</b><span>
      ${word && html`<${State} word=${word} level=${level} />`} <span
        class=${LAYERS[layer][1].length > 1 ? "dim" : "sr"}>${kind}</span></span></button>
  </li>`;
}

function Links({ items, links, slots }) {
  const places = new Map(items.map((item) => [item.key, item]));
  const height = top(slots);
  const width = LAYERS.length * (WIDTH + GAP);
  return html`<svg class="chart links" aria-hidden="true" width=${width} height=${height}
    viewBox=${`0 0 ${width} ${height}`}>${links.map(([from, to]) => {
      const [a, b] = [places.get(from), places.get(to)];
      const [x, y] = [left(a.layer) + WIDTH, top(a.slot) + HEIGHT / 2];
      const [u, v] = [left(b.layer), top(b.slot) + HEIGHT / 2];
      const half = (x + u) / 2;
      return html`<path key=${`${from} ${to}`} class=${b.level}
        d=${`M${x} ${y}C${half} ${y} ${half} ${v} ${u} ${v}`} />`;
    })}</svg>`;
}
