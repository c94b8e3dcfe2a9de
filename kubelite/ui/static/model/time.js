// Times and sizes in words. Pure.

const UNITS = [
  ["y", 31536000],
  ["d", 86400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** As kubectl shows ages: 45s, 5m12s, 3h, 8d. */
export function age(timestamp, now) {
  if (!timestamp) return "";
  const seconds = Math.max(0, Math.floor((now - Date.parse(timestamp)) / 1000));
  return duration(seconds);
}

export function duration(seconds) {
  const index = UNITS.findIndex(([, size]) => seconds >= size);
  if (index < 0) return "0s";
  const [unit, size] = UNITS[index];
  const whole = Math.floor(seconds / size);
  const next = UNITS[index + 1];
  const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
  return whole < 10 && rest ? `${whole}${unit}${rest}${next[0]}` : `${whole}${unit}`;
}

/** Milliseconds as a person reads them: 4.2 ms, 350 ms, 1.25 s. */
export function milliseconds(value) {
  if (value < 10) return `${value.toFixed(1)} ms`;
  if (value < 1000) return `${Math.round(value)} ms`;
  return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
}
