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
  spanOf,
  within,
  withSample,
  zoomed,
} from "../model/figures.js";
import { byId } from "../model/kinds.js";
import { age } from "../model/time.js";
import { usePage, useRights } from "./hooks.js";

const [WIDTH, HEIGHT] = [300, 60];
const VIEW_BOX = `-3 -3 ${WIDTH + 6} ${HEIGHT + 6}`; // a dot at the edge is seen whole
const LASTS = [15, 5, 1]; // minutes

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

/**
 * `lines` are [{ name, points }]; `limit` is drawn across and is the top of the chart. What is
 * dragged over is given to `choose` as the span that is shown next.
 */
export function Chart({ title, lines, words, limit, now, span, choose }) {
  const [place, setPlace] = useState(null);
  const [begin, setBegin] = useState(null); // where dragging began
  const shown = lines.map((one) => ({ ...one, points: within(one.points, span) }));
  const [{ points: first }] = shown;
  const last = first[first.length - 1];
  if (!last) return null;
  const values = shown.flatMap(({ points: some }) => some.map(({ value }) => value));
  const most = Math.max(...values);
  const top = limit && limit >= most ? limit : roundTop(values);
  const read = place === null ? last : nearest(first, place, span);
  const figures = shown.map(({ name, points: some }) => {
    const point = some.find(({ at }) => at === read.at) ?? some[some.length - 1];
    return `${name ? `${name} ` : ""}${words(point?.value ?? 0)}`;
  });
  const said = `${figures.join(", ")}${limit ? ` of ${words(limit)}` : ""}`;
  const placeOf = ({ currentTarget, clientX }) => {
    const { left, width } = currentTarget.getBoundingClientRect();
    return (clientX - left) / width;
  };
  const drag = {
    onPointerDown: (event) => {
      event.currentTarget.setPointerCapture(event.pointerId);
      setBegin(placeOf(event));
    },
    onPointerMove: (event) => setPlace(placeOf(event)),
    onPointerLeave: () => setPlace(null),
    onPointerUp: (event) => {
      const chosen = begin !== null && zoomed(span, [begin, placeOf(event)]);
      setBegin(null);
      if (chosen) choose(chosen);
    },
    onPointerCancel: () => setBegin(null),
  };
  const ago = (at) => (now - at < 1000 ? "now" : `${age(new Date(at).toISOString(), now)} ago`);
  return html`<figure class="chart">
    <figcaption><b>${title}</b> <span>${said}</span> <span class="dim">${
      place === null ? `most ${words(most)}` : ago(read.at)
    }</span></figcaption>
    <svg class="chart" viewBox=${VIEW_BOX} preserveAspectRatio="none" role="img" ...${drag}
      aria-label=${`${title}, from ${ago(span.from)} to ${ago(span.to)}: ${said},
        most ${words(most)}`}>
      <${Lines} lines=${shown} span=${span} top=${top} />
      ${place !== null && html`<path class="read" d=${`M${xOf(read.at, span)} 0V${HEIGHT}`} />`}
      ${
        begin !== null &&
        place !== null &&
        html`<rect class="chosen" x=${WIDTH * Math.min(begin, place)} y="0"
        width=${WIDTH * Math.abs(begin - place)} height=${HEIGHT} />`
      }
    </svg>
    <div class="axis dim" aria-hidden="true"><span>${ago(span.from)}</span>
      <span>${ago(span.to)}</span></div>
  </figure>`;
}

/** The first line with the area below it. */
function Lines({ lines, span, top }) {
  return lines.map(({ name, points: shown }, index) => {
    const path = line(shown, { ...span, top, width: WIDTH, height: HEIGHT });
    return html`${
      index === 0 &&
      shown.length > 1 &&
      html`<path key="area" class="area"
        d=${`${path}V${HEIGHT}H${xOf(shown[0].at, span)}Z`} />`
    }<path key=${name} class=${`line-${index}`} d=${path} />`;
  });
}

function xOf(at, { from, to }) {
  return (WIDTH * (at - from)) / (to - from);
}

/** Charts under one heading that show the same time: the last minutes, or what is dragged over. */
function Charts({ title, now, children }) {
  const [zoom, setZoom] = useState(null);
  const chart = { now, span: spanOf(zoom, now), choose: setZoom };
  return html`<section><div class="charts-head"><h3>${title}</h3>${LASTS.map(
    (minutes) => html`<button type="button" key=${minutes} class="quiet"
      aria-pressed=${!zoom?.to && (zoom?.last ?? KEPT_MS) === minutes * 60_000}
      onClick=${() => setZoom({ last: minutes * 60_000 })}>${minutes} min</button>`,
  )}</div><div class="charts">${children(chart)}</div></section>`;
}

/** CPU, memory and network of one series. */
function Use({ series, limits, now }) {
  if (!series?.length) return null;
  const network = ["received", "sent"].map((name) => ({
    name,
    points: rates(points(series, name)),
  }));
  return html`<${Charts} title="Use" now=${now}>${(chart) => html`
    <${Chart} title="CPU" lines=${[{ points: points(series, "cpu") }]} words=${cores}
      limit=${limits.cpu} ...${chart} />
    <${Chart} title="Memory" lines=${[{ points: points(series, "memory") }]} words=${bytes}
      limit=${limits.memory} ...${chart} />
    <${Chart} title="Network" lines=${network} words=${(value) => `${bytes(value)}/s`}
      ...${chart} />
  `}</${Charts}>`;
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
    viewBox=${VIEW_BOX} preserveAspectRatio="none"><${Lines} lines=${[{ points: shown }]}
    span=${spanOf(null, now)} top=${top} /></svg></span>`;
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
  return html`<${Charts} title="Replicas and metrics" now=${now}>${(chart) => html`
    <${Chart} title="Replicas" lines=${lines} words=${String} limit=${object.spec.maxReplicas}
      ...${chart} />
    ${metrics.map(
      ({ name, target }, index) => html`<${Chart} key=${name}
      title=${`${name}, wanted ${target}`} lines=${[{ points: points(series, String(index)) }]}
      words=${String} ...${chart} />`,
    )}
  `}</${Charts}>`;
}
