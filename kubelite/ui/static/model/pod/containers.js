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

/** [{ name, text }]: "readiness" and "GET :8080/healthz every 10 s". */
export function probesOf(container) {
  return ["startup", "readiness", "liveness"]
    .filter((name) => container[`${name}Probe`])
    .map((name) => ({ name, text: probeWords(container[`${name}Probe`]) }));
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
