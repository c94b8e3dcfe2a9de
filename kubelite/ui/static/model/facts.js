// The few fields of each common kind that are looked for first, and what an object of it owns or
// selects. Pure.

import { bytes, quantity } from "./figures.js";

const FACTS = {
  pods: ({ spec, status }) => [
    ["Phase", status.phase],
    ["Node", spec.nodeName],
    ["Address", status.podIP],
    ["Service account", spec.serviceAccountName],
    ["QoS class", status.qosClass],
    ["Restart policy", spec.restartPolicy],
    ["Priority", spec.priorityClassName],
  ],
  "deployments.apps": (object) => [
    ...replicas(object),
    ["Strategy", object.spec.strategy?.type],
    ["Selector", selector(object.spec.selector?.matchLabels)],
    ["Images", images(object.spec.template)],
  ],
  "replicasets.apps": (object) => [
    ...replicas(object),
    ["Selector", selector(object.spec.selector?.matchLabels)],
    ["Images", images(object.spec.template)],
  ],
  "statefulsets.apps": (object) => [
    ...replicas(object),
    ["Service", object.spec.serviceName],
    ["Images", images(object.spec.template)],
  ],
  "daemonsets.apps": ({ spec, status }) => [
    ["Ready", `${status.numberReady ?? 0} of ${status.desiredNumberScheduled ?? 0}`],
    ["Images", images(spec.template)],
  ],
  "jobs.batch": ({ spec, status }) => [
    ["Completions", `${status.succeeded ?? 0} of ${spec.completions ?? 1}`],
    ["Active", status.active],
    ["Failed", status.failed],
    ["Images", images(spec.template)],
  ],
  "cronjobs.batch": ({ spec, status }) => [
    ["Schedule", spec.schedule],
    ["Suspended", spec.suspend ? "yes" : ""],
    ["Last run", status?.lastScheduleTime],
  ],
  services: ({ spec }) => [
    ["Type", spec.type],
    ["Cluster address", spec.clusterIP],
    ["Selector", selector(spec.selector)],
    [
      "Ports",
      spec.ports
        ?.map(
          ({ port, targetPort, protocol, nodePort }) =>
            `${port}→${targetPort}/${protocol}${nodePort ? ` (node ${nodePort})` : ""}`,
        )
        .join(", "),
    ],
  ],
  persistentvolumeclaims: ({ spec, status }) => [
    ["Phase", status?.phase],
    ["Class", spec.storageClassName],
    ["Requested", spec.resources?.requests?.storage],
    ["Capacity", status?.capacity?.storage],
    ["Volume", spec.volumeName],
    ["Access", spec.accessModes?.join(", ")],
  ],
  nodes: ({ spec, status }) => [
    ["Address", status.addresses?.find(({ type }) => type === "InternalIP")?.address],
    ["CPU", status.allocatable?.cpu],
    ["Memory", memory(status.allocatable?.memory)],
    ["Pod addresses", spec?.podCIDR],
    ["Kernel", status.nodeInfo?.kernelVersion],
    ["System", status.nodeInfo?.osImage],
    ["Taints", spec?.taints?.map(({ key, effect }) => `${key}:${effect}`).join(", ")],
  ],
  "horizontalpodautoscalers.autoscaling": ({ spec, status }) => [
    ["Scales", `${spec.scaleTargetRef?.kind} ${spec.scaleTargetRef?.name}`],
    ["Replicas", status.currentReplicas ?? 0],
    ["Allowed", `${spec.minReplicas ?? 1} to ${spec.maxReplicas}`],
    ["Last change", status.lastScaleTime],
  ],
  namespaces: ({ status }) => [["Phase", status?.phase]],
  "ingresses.networking.k8s.io": ({ spec }) => [
    ["Class", spec.ingressClassName],
    ["Hosts", spec.rules?.map(({ host }) => host ?? "*").join(", ")],
  ],
};

/** [[name, text], …]; texts may be undefined. */
export function factsOf(id, object) {
  const facts = FACTS[id];
  return facts ? facts({ spec: {}, status: {}, ...object }) : [];
}

function memory(text) {
  return text && bytes(quantity(text));
}

function replicas({ spec, status = {} }) {
  return [
    ["Replicas", `${status.readyReplicas ?? 0} ready of ${spec.replicas ?? 1}`],
    ["Updated", status.updatedReplicas],
  ];
}

function images(template) {
  return template?.spec?.containers?.map(({ image }) => image).join(", ");
}

/** Labels as a selector: a=b,c=d. */
export function selector(labels) {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

const OWNED = {
  "deployments.apps": "replicasets.apps",
  "replicasets.apps": "pods",
  "statefulsets.apps": "pods",
  "daemonsets.apps": "pods",
  "jobs.batch": "pods",
  "cronjobs.batch": "jobs.batch",
  replicationcontrollers: "pods",
};

/**
 * Where what belongs to an object is found: { resource, selectors, uid of the owner it must have },
 * or null.
 */
export function ownedBy(id, { metadata, spec }) {
  if (id === "nodes")
    return { resource: "pods", selectors: { fieldSelector: `spec.nodeName=${metadata.name}` } };
  if (id === "services")
    return spec.selector
      ? { resource: "pods", selectors: { labelSelector: selector(spec.selector) } }
      : null;
  if (!OWNED[id]) return null;
  return {
    resource: OWNED[id],
    selectors: { labelSelector: selector(spec.selector?.matchLabels) },
    uid: metadata.uid,
  };
}
