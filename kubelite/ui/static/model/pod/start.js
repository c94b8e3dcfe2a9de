// The steps of a pod's start, from the server's timeline, with their places on a line. Pure.

const NAMES = {
  created: "Created",
  scheduled: "Scheduled",
  accepted: "Accepted by the node",
  sandbox: "Sandbox and network",
  initialized: "Init containers done",
  ready: "Ready",
};

/**
 * Steps { name, since, took, left, width, isExact } in their order; milliseconds, and hundredths of
 * the whole. `since` counts from the first step that is known exactly, where there is one: what is
 * known by the second only stands at the begin of the line or where its second does.
 */
export function placed({ steps, isExact }) {
  const marks = steps.map((step) => ({ ...step, moment: exactTime(step.time) }));
  const known = marks.filter((mark) => mark.isExact || !isExact);
  if (!known.length) return [];
  const begin = known[0].moment;
  const whole = Math.max(1, known[known.length - 1].moment - begin);
  let before = begin;
  return marks.map((mark) => {
    const since = Math.min(whole, Math.max(0, mark.moment - begin));
    const counts = mark.isExact || !isExact;
    const from = counts ? before : begin + since;
    if (counts) before = mark.moment;
    return {
      name: nameOf(mark),
      isExact: mark.isExact,
      since,
      took: begin + since - from,
      left: (100 * (from - begin)) / whole,
      width: (100 * (begin + since - from)) / whole,
    };
  });
}

function nameOf({ step, container }) {
  if (step === "containerCreated") return `Container ${container} created`;
  if (step === "started") return `Container ${container} started`;
  return NAMES[step] ?? step;
}

/** Milliseconds since the epoch with their fraction, which Date leaves out. */
function exactTime(time) {
  const microseconds = /\.\d{3}(\d{3})/.exec(time)?.[1] ?? 0;
  return Date.parse(time) + Number(microseconds) / 1000;
}
