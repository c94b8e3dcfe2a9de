// The containers of a pod with their states, and probes in words. Pure.

/**
 * { role, spec, status } of every container: init containers and sidecars first, in their order of
 * start.
 */
export function containersOf({ spec, status = {} }) {
  const joined = (specs, statuses, role) =>
    (specs ?? []).map((one) => ({
      role: role === "init" && one.restartPolicy === "Always" ? "sidecar" : role,
      spec: one,
      status: statuses?.find(({ name }) => name === one.name),
    }));
  return [
    ...joined(spec.initContainers, status.initContainerStatuses, "init"),
    ...joined(spec.containers, status.containerStatuses, ""),
    ...joined(spec.ephemeralContainers, status.ephemeralContainerStatuses, "debug"),
  ];
}

/**
 * [{ name, text, result }]: "readiness", "GET :8080/healthz every 10 s", and what came of it last:
 * { word, level, failure }. The API tells of passes by `started` and `ready` alone, of failures by
 * events; `failure` is the last one of this run, with its message and its time.
 */
export function probesOf(container, { status, events = [], now = 0 } = {}) {
  return ["startup", "readiness", "liveness"]
    .filter((name) => container[`${name}Probe`])
    .map((name) => ({
      name,
      text: probeWords(container[`${name}Probe`]),
      result: resultOf(name, container, { status, events, now }),
    }));
}

function resultOf(name, container, { status, events, now }) {
  const since = status?.state?.running?.startedAt;
  if (!since) return null;
  const failure = events
    .filter(
      ({ involvedObject, message, last }) =>
        involvedObject.fieldPath?.includes(`{${container.name}}`) &&
        message.toLowerCase().startsWith(`${name} probe`) &&
        last >= since,
    )
    .sort((a, b) => b.last.localeCompare(a.last))[0];
  if (name === "startup") return result(status.started, "passed", "not passed yet", failure);
  if (!status.started) return { word: "waits for the start", level: "", failure };
  if (name === "readiness") return result(status.ready, "passes", "fails", failure);
  const { periodSeconds = 10 } = container.livenessProbe;
  const failedJustNow = failure && now - Date.parse(failure.last) < 2000 * periodSeconds;
  return result(!failedJustNow, "passes", "fails", failure);
}

function result(isGood, good, other, failure) {
  return { word: isGood ? good : other, level: isGood ? "good" : "warn", failure };
}

function probeWords(probe) {
  const { periodSeconds = 10, failureThreshold = 3 } = probe;
  return `${handlerWords(probe)} every ${periodSeconds} s, ${failureThreshold} failures`;
}

function handlerWords({ exec, httpGet, tcpSocket, grpc }) {
  if (exec) return exec.command.join(" ");
  if (httpGet) {
    const { scheme = "HTTP", port, path = "/" } = httpGet;
    return `GET ${scheme.toLowerCase()}://:${port}${path}`;
  }
  if (tcpSocket) return `TCP :${tcpSocket.port}`;
  return `gRPC :${grpc?.port}${grpc?.service ? ` ${grpc.service}` : ""}`;
}
