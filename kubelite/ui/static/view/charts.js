// What is used, as lines over the last 15 minutes.

import { html, useEffect, useState } from "../vendor/preact-htm.js";
import { follow } from "../api/figures.js";
import {
  autoscaling,
  bytes,
  cores,
  EMPTY_HISTORY,
  KEPT_MS,
  limitOf,
  line,
  nearest,
  points,
  quantity,
  rates,
  roundTop,
  withSample,
} from "../model/figures.js";
import { byId } from "../model/kinds.js";
import { age } from "../model/time.js";
import { usePage, useRights } from "./hooks.js";

const [WIDTH, HEIGHT] = [300, 60];

/** The history of a node's figures, as far as the user may read them; node "" is none. */
export function useFigures(node) {
  const { resources } = usePage();
  const [history, setHistory] = useState(EMPTY_HISTORY);
  const nodes = byId(resources, "nodes");
  const rights = useRights(nodes ? { proxy: ["get", nodes, "", "proxy"] } : {});
  useEffect(() => {
    setHistory(EMPTY_HISTORY);
    return node && rights.proxy ? follow(node, setHistory) : undefined;
  }, [node, rights.proxy]);
  return history;
}

/** `lines` are [{ name, points }]; `limit` is drawn across and is the top of the chart. */
export function Chart({ title, lines, words, limit, now }) {
  const [place, setPlace] = useState(null);
  const [{ points: first }] = lines;
  const last = first[first.length - 1];
  if (!last) return null;
  const values = lines.flatMap(({ points: shown }) => shown.map(({ value }) => value));
  const most = Math.max(...values);
  const top = limit && limit >= most ? limit : roundTop(values);
  const read = place === null ? last : nearest(first, place, now);
  const figures = lines.map(({ name, points: shown }) => {
    const point = shown.find(({ at }) => at === read.at) ?? shown[shown.length - 1];
    return `${name ? `${name} ` : ""}${words(point?.value ?? 0)}`;
  });
  const said = `${figures.join(", ")}${limit ? ` of ${words(limit)}` : ""}`;
  const move = (event) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    setPlace((event.clientX - left) / width);
  };
  return html`<figure class="chart">
    <figcaption><b>${title}</b> <span>${said}</span> <span class="dim">${
      place === null ? `most ${words(most)}` : `${age(new Date(read.at).toISOString(), now)} ago`
    }</span></figcaption>
    <svg class="chart" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img"
      aria-label=${`${title}, last 15 minutes: now ${said}, most ${words(most)}`}
      onPointerMove=${move} onPointerLeave=${() => setPlace(null)}>
      ${lines.map(
        ({ name, points: shown }, index) => html`<path key=${name} class=${`line-${index}`}
        d=${line(shown, { now, top, width: WIDTH, height: HEIGHT })} />`,
      )}
      ${
        place !== null &&
        html`<path class="read"
        d=${`M${WIDTH * (1 - (now - read.at) / KEPT_MS)} 0V${HEIGHT}`} />`
      }
    </svg>
  </figure>`;
}

/** CPU, memory and network of one series. */
function Use({ series, limits, now }) {
  if (!series?.length) return null;
  const network = ["received", "sent"].map((name) => ({
    name,
    points: rates(points(series, name)),
  }));
  return html`<section><h3>Use</h3><div class="charts">
    <${Chart} title="CPU" lines=${[{ points: points(series, "cpu") }]} words=${cores}
      limit=${limits.cpu} now=${now} />
    <${Chart} title="Memory" lines=${[{ points: points(series, "memory") }]} words=${bytes}
      limit=${limits.memory} now=${now} />
    <${Chart} title="Network" lines=${network} words=${(value) => `${bytes(value)}/s`} now=${now} />
  </div></section>`;
}

export function NodeUse({ node, now }) {
  const history = useFigures(node.metadata.name);
  const { cpu, memory } = node.status?.capacity ?? {};
  const limits = { cpu: quantity(cpu), memory: quantity(memory) };
  return html`<${Use} series=${history.get("node")} limits=${limits} now=${now} />`;
}

export function PodUse({ pod, now }) {
  const history = useFigures(pod.spec.nodeName ?? "");
  const { namespace, name } = pod.metadata;
  const limits = { cpu: limitOf(pod, "cpu"), memory: limitOf(pod, "memory") };
  const series = history.get(`pod/${namespace}/${name}`);
  return html`<${Use} series=${series} limits=${limits} now=${now} />`;
}

/** One figure of a node in a table: its value, and a small line. */
export function Spark({ series, name, words, limit, now }) {
  const shown = points(series, name);
  const last = shown[shown.length - 1];
  if (!last) return null;
  const top = limit ?? roundTop(shown.map(({ value }) => value));
  return html`<span class="spark">${words(last.value)} <svg class="chart" aria-hidden="true"
    viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none"><path class="line-0"
    d=${line(shown, { now, top, width: WIDTH, height: HEIGHT })} /></svg></span>`;
}

const autoscalers = new Map(); // series by uid, for as long as the page is open
const AUTOSCALER_MS = 5000;

/** Replicas and metrics of a HorizontalPodAutoscaler since it was first looked at. */
export function AutoscalerUse({ object, now }) {
  const { uid } = object.metadata;
  const { replicas, wanted, metrics } = autoscaling(object);
  const before = autoscalers.get(uid) ?? [];
  if (!before.length || now - before[before.length - 1].at >= AUTOSCALER_MS) {
    const sample = { at: now, replicas, wanted };
    metrics.forEach(({ value }, index) => (sample[index] = value));
    autoscalers.set(uid, withSample(before, sample));
  }
  const series = autoscalers.get(uid);
  const lines = ["replicas", "wanted"].map((name) => ({ name, points: points(series, name) }));
  return html`<section><h3>Replicas and metrics</h3><div class="charts">
    <${Chart} title="Replicas" lines=${lines} words=${String} limit=${object.spec.maxReplicas}
      now=${now} />
    ${metrics.map(
      ({ name, target }, index) => html`<${Chart} key=${name}
      title=${`${name}, wanted ${target}`} lines=${[{ points: points(series, String(index)) }]}
      words=${String} now=${now} />`,
    )}
  </div></section>`;
}
