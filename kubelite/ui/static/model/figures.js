// What nodes and pods use, over the last minutes, and its line in a chart. Pure.

export const KEPT_MS = 15 * 60_000;
const SHORTEST_MS = 10_000; // two samples of a kubelet

/** Figures by what they are of: "node" or "pod/NAMESPACE/NAME". */
export const EMPTY_HISTORY = new Map();

/**
 * The history with one summary of a kubelet more. A series is
 * [{ at, cpu, memory, received, sent }]: milliseconds, cores, bytes, and bytes since the start;
 * undefined for what the kubelet does not know.
 */
export function withSummary(history, { node, pods = [] }, at) {
  const next = new Map();
  const add = (key, figures) => next.set(key, withSample(history.get(key), sampleOf(figures, at)));
  add("node", node);
  for (const pod of pods) add(`pod/${pod.podRef.namespace}/${pod.podRef.name}`, pod);
  return next;
}

/** A series with one sample more, without those that are too old. */
export function withSample(series = [], sample) {
  return [...series.filter(({ at }) => sample.at - at < KEPT_MS), sample];
}

function sampleOf({ cpu, memory, network }, at) {
  return {
    at,
    cpu: cpu?.usageNanoCores === undefined ? undefined : cpu.usageNanoCores / 1e9,
    memory: memory?.workingSetBytes,
    received: total(network, "rxBytes"),
    sent: total(network, "txBytes"),
  };
}

function total(network, name) {
  return network?.interfaces?.reduce((sum, one) => sum + (one[name] ?? 0), 0);
}

/** [{ at, value }] of one figure of a series, where it is known. */
export function points(series = [], name) {
  return series
    .filter((sample) => sample[name] !== undefined)
    .map((sample) => ({ at: sample.at, value: sample[name] }));
}

/** What a counter gained in each second; a counter that begins anew gains nothing. */
export function rates(counted) {
  return counted.slice(1).map(({ at, value }, index) => {
    const before = counted[index];
    const gained = Math.max(0, value - before.value);
    return { at, value: (1000 * gained) / Math.max(1, at - before.at) };
  });
}

/** The part of the kept time that a chart shows, { from, to }: all of it, or what is chosen. */
export function spanOf(zoom, now) {
  return zoom?.to ? zoom : { from: now - (zoom?.last ?? KEPT_MS), to: now };
}

/** The part of a span between two places on it, 0 to 1 in any order; null for none to speak of. */
export function zoomed({ from, to }, places) {
  const [left, right] = places
    .map((place) => Math.min(1, Math.max(0, place)))
    .sort((a, b) => a - b);
  const at = (place) => from + place * (to - from);
  return at(right) - at(left) < SHORTEST_MS ? null : { from: at(left), to: at(right) };
}

/** The points in a span, and the ones right beside it, to which lines lead. */
export function within(shown, { from, to }) {
  return shown.filter(
    ({ at }, index) => (shown[index + 1]?.at ?? at) >= from && (shown[index - 1]?.at ?? at) <= to,
  );
}

/**
 * The line of points in a box: SVG path data. Time runs over the span `from` `to`; `top` is the
 * value at the upper edge. One point alone is a dot.
 */
export function line(shown, { from, to, top, width, height }) {
  const path = shown
    .map(({ at, value }, index) => {
      const x = (width * (at - from)) / (to - from);
      const y = height * (1 - Math.min(1, value / top));
      return `${index ? "L" : "M"}${x.toFixed(2)} ${y.toFixed(2)}`;
    })
    .join("");
  return shown.length === 1 ? `${path}h0` : path;
}

/** A round number that is at least as great as all values. */
export function roundTop(values) {
  const most = Math.max(...values, 0);
  if (most === 0) return 1;
  const size = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * size).find((top) => top >= most);
}

/** The point whose time is nearest to a place on the span, 0 to 1; undefined for none. */
export function nearest(shown, place, { from, to }) {
  const at = from + place * (to - from);
  const distance = (point) => Math.abs(point.at - at);
  return shown.reduce(
    (best, point) => (best && distance(best) <= distance(point) ? best : point),
    undefined,
  );
}

export function cores(value) {
  return value < 0.1 ? `${Math.round(value * 1000)} m` : value.toFixed(2);
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(value) {
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10));
  const shown = value / 1024 ** power;
  return `${shown.toFixed(power && shown < 100 ? 1 : 0)} ${UNITS[power]}`;
}

const SCALES = { m: 1e-3, k: 1e3, M: 1e6, G: 1e9, T: 1e12 };

/** The number that a quantity names: "250m", "64Mi", "2"; undefined for no quantity. */
export function quantity(text) {
  const parts = /^([\d.]+)(?:([KMGT])i|([mkMGT]))?$/.exec(text ?? "");
  if (!parts) return undefined;
  const [, number, binary, decimal] = parts;
  const scale = binary ? 1024 ** ("KMGT".indexOf(binary) + 1) : (SCALES[decimal] ?? 1);
  return Number(number) * scale;
}

/** What the containers of a pod may use together; undefined where one may use all there is. */
export function limitOf({ spec }, name) {
  const limits = spec.containers.map(({ resources }) => quantity(resources?.limits?.[name]));
  return limits.every((one) => one !== undefined)
    ? limits.reduce((sum, one) => sum + one, 0)
    : undefined;
}

/**
 * What a HorizontalPodAutoscaler looks at:
 * { replicas, wanted, metrics: [{ name, value, target }] }. Values are percents for a utilization,
 * else numbers; undefined for one without a figure yet.
 */
export function autoscaling({ spec, status = {} }) {
  const metrics = (spec.metrics ?? []).map(({ type, ...of }) => {
    const key = type.charAt(0).toLowerCase() + type.slice(1);
    const { target, ...what } = of[key] ?? {};
    const name = what.name ?? what.metric?.name ?? type;
    const current = status.currentMetrics
      ?.map((one) => one?.[key])
      .find((one) => one && (one.name ?? one.metric?.name) === name)?.current;
    return { name, value: figure(current), target: figure(target) };
  });
  return { replicas: status.currentReplicas ?? 0, wanted: status.desiredReplicas ?? 0, metrics };
}

function figure({ averageUtilization, averageValue, value } = {}) {
  return averageUtilization ?? quantity(averageValue ?? value);
}
