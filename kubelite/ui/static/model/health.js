// What is wrong with pods, claims and nodes, in words. Pure.
//
// A problem is { level: "bad" | "warn", title, detail }; null means that nothing is.

import { duration } from "./time.js";

// A pod that was just made may be without a node or an address for a moment.
const SETTLING_SECONDS = 5;

const WAITING = {
  CrashLoopBackOff: "it keeps ending, the next start waits",
  ImagePullBackOff: "the image cannot be pulled, the next try waits",
  ErrImagePull: "the image cannot be pulled",
  ErrImageNeverPull: "the image is not on the node, and must not be pulled",
  InvalidImageName: "the image's name is not valid",
  CreateContainerConfigError: "its configuration cannot be made",
  CreateContainerError: "the container cannot be created",
  RunContainerError: "the container cannot be started",
};

export function podProblem(pod, now) {
  const { status = {}, metadata } = pod;
  const young = now - Date.parse(metadata.creationTimestamp) < SETTLING_SECONDS * 1000;
  if (metadata.deletionTimestamp) return deletionProblem(pod, now);
  if (status.phase === "Succeeded") return null;
  if (status.phase === "Failed")
    return bad(status.reason ?? "Failed", status.message ?? failedContainer(status));
  for (const container of containersOf(status)) {
    const problem = containerProblem(container);
    if (problem) return problem;
  }
  const scheduled = condition(pod, "PodScheduled");
  if (scheduled?.status === "False") {
    const title = scheduled.reason === "SchedulingGated" ? "Scheduling gated" : "No node fits";
    return { level: "bad", title, detail: scheduled.message ?? "" };
  }
  if (young) return null;
  if (status.phase === "Pending") return warn("Pending", pendingDetail(pod));
  const ready = condition(pod, "Ready");
  if (ready?.status === "False") return warn("Not ready", ready.message ?? "");
  return null;
}

function containersOf(status) {
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
}

function containerProblem(container) {
  const { name, state = {}, lastState = {} } = container;
  const waiting = state.waiting;
  if (waiting && WAITING[waiting.reason]) {
    const last = lastState.terminated ? ` Last time: ${exitWords(lastState.terminated)}.` : "";
    const detail = waiting.reason === "CrashLoopBackOff" ? "" : (waiting.message ?? "");
    return bad(
      waiting.reason,
      `Container ${name}: ${WAITING[waiting.reason]}.${last}${detail ? ` ${detail}` : ""}`,
    );
  }
  const ended = state.terminated;
  if (ended && ended.exitCode !== 0)
    return bad(ended.reason ?? "Error", `Container ${name} ended: ${exitWords(ended)}.`);
  return null;
}

/** How a container ended: "exit code 137, OOMKilled", "signal 9", "completed". */
export function exitWords({ exitCode, signal, reason }) {
  const code = signal ? `signal ${signal}` : exitCode === 0 ? "completed" : `exit code ${exitCode}`;
  const isTelling = reason && reason !== "Error" && reason !== "Completed";
  return isTelling ? `${code}, ${reason}` : code;
}

function failedContainer(status) {
  const failed = containersOf(status).find(({ state }) => state?.terminated?.exitCode);
  return failed ? `Container ${failed.name} ended: ${exitWords(failed.state.terminated)}.` : "";
}

function pendingDetail(pod) {
  const waiting = containersOf(pod.status ?? {}).find(({ state }) => state?.waiting)?.state.waiting;
  return [waiting?.reason, waiting?.message].filter(Boolean).join(": ") || "it has not started yet";
}

function deletionProblem(pod, now) {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers } = pod.metadata;
  const over =
    Math.floor((now - Date.parse(deletionTimestamp)) / 1000) - deletionGracePeriodSeconds;
  if (over < 30) return null;
  const held = finalizers?.length ? ` Finalizers: ${finalizers.join(", ")}.` : "";
  return warn("Terminating", `It should have been gone ${duration(over)} ago.${held}`);
}

/** A pod's state in one word, as kubectl's column shows it. */
export function podState(pod) {
  const { status = {}, metadata } = pod;
  if (metadata.deletionTimestamp) return "Terminating";
  const waiting = containersOf(status).find(({ state }) => WAITING[state?.waiting?.reason]);
  return waiting?.state.waiting.reason ?? status.reason ?? status.phase ?? "Pending";
}

export function claimProblem(claim, now) {
  const { status = {}, metadata, spec } = claim;
  if (status.phase === "Lost") return bad("Lost", "The volume it was bound to is gone.");
  const young = now - Date.parse(metadata.creationTimestamp) < SETTLING_SECONDS * 1000;
  if (status.phase !== "Pending" || young) return null;
  const of = spec.storageClassName ? ` of class ${spec.storageClassName}` : "";
  return warn("Pending", `No volume${of} has been bound to it yet.`);
}

/**
 * Conditions that are not as they should be: Ready must be True, pressures and the like must not.
 */
export function nodeProblem(node) {
  const ready = condition(node, "Ready");
  if (ready?.status !== "True")
    return bad("Not ready", ready?.message ?? "The node has not reported yet.");
  const pressed = (node.status.conditions ?? []).filter(
    ({ type, status }) => type !== "Ready" && status === "True",
  );
  if (pressed.length)
    return bad(pressed.map(({ type }) => type).join(", "), pressed[0].message ?? "");
  if (node.spec?.unschedulable) return warn("Cordoned", "New pods are not placed here.");
  return null;
}

export function condition(object, type) {
  return object.status?.conditions?.find((one) => one.type === type);
}

/**
 * Whether a condition's state is a good one: most are good when True, pressures and failures when
 * False.
 */
export function isGoodCondition({ type, status }) {
  const isBadWhenTrue =
    /Pressure$|Unavailable$|Fail|Dangling|Disrupt|Stalled|Degraded|Terminating$/.test(type);
  return (status === "True") !== isBadWhenTrue;
}

/** { running, pending, failed, succeeded, wrong }: pods by phase. */
export function podCounts(pods) {
  const counts = { Running: 0, Pending: 0, Failed: 0, Succeeded: 0, Unknown: 0 };
  for (const { status } of pods) counts[status?.phase ?? "Pending"] += 1;
  return counts;
}

const GOOD = words(
  "running active bound available ready true complete completed succeeded established normal " +
    "approved approved,issued",
);
const WARN = words(
  "pending terminating containercreating podinitializing progressing warning released suspended " +
    "schedulinggated",
);
const BAD = /crash|err|fail|evicted|oom|lost|invalid|notready|unknown|unschedulable|denied/i;

function words(text) {
  return new Set(text.split(" "));
}

/** The colour of a word of state in a table: good, warn, bad, or none. */
export function stateLevel(word) {
  const lower = String(word).toLowerCase();
  if (GOOD.has(lower)) return "good";
  if (BAD.test(lower)) return "bad";
  const isWaiting = lower.startsWith("init:") || lower.endsWith(",schedulingdisabled");
  return WARN.has(lower) || isWaiting ? "warn" : "";
}

/** Whether "1/2" says that something is missing. */
export function isShort(cell) {
  const parts = /^(\d+)\/(\d+)$/.exec(String(cell));
  return Boolean(parts) && Number(parts[1]) < Number(parts[2]);
}

function bad(title, detail) {
  return { level: "bad", title, detail };
}

function warn(title, detail) {
  return { level: "warn", title, detail };
}
