// The kinds that discovery names: how to reach each, how they are grouped, and which one a typed
// word means. Pure.

const SECTIONS = [
  [
    "Workloads",
    "pods deployments.apps statefulsets.apps daemonsets.apps jobs.batch cronjobs.batch " +
      "replicasets.apps replicationcontrollers horizontalpodautoscalers.autoscaling " +
      "poddisruptionbudgets.policy",
  ],
  [
    "Network",
    "services ingresses.networking.k8s.io networkpolicies.networking.k8s.io " +
      "endpointslices.discovery.k8s.io ingressclasses.networking.k8s.io endpoints",
  ],
  [
    "Configuration",
    "configmaps secrets resourcequotas limitranges priorityclasses.scheduling.k8s.io",
  ],
  [
    "Storage",
    "persistentvolumeclaims persistentvolumes storageclasses.storage.k8s.io " +
      "volumeattachments.storage.k8s.io csidrivers.storage.k8s.io csinodes.storage.k8s.io",
  ],
  [
    "Cluster",
    "nodes namespaces events leases.coordination.k8s.io " +
      "customresourcedefinitions.apiextensions.k8s.io apiservices.apiregistration.k8s.io",
  ],
  [
    "Access",
    "serviceaccounts roles.rbac.authorization.k8s.io rolebindings.rbac.authorization.k8s.io " +
      "clusterroles.rbac.authorization.k8s.io clusterrolebindings.rbac.authorization.k8s.io " +
      "certificatesigningrequests.certificates.k8s.io",
  ],
];

/** The resources that can be listed, from the legacy group's document and the aggregated one. */
export function resourcesOf(core, groups) {
  const resources = [];
  for (const resource of core.resources ?? []) {
    if (!resource.name.includes("/")) resources.push(plain(resource, "", "v1"));
  }
  for (const group of groups.items ?? []) {
    const known = new Set();
    for (const { version, resources: members } of group.versions ?? []) {
      for (const member of members ?? []) {
        if (known.has(member.resource)) continue;
        known.add(member.resource);
        resources.push(aggregated(member, group.metadata.name, version));
      }
    }
  }
  return resources.filter(
    ({ verbs, id }) => verbs.includes("list") && id !== "events.events.k8s.io",
  );
}

const ENGINE = new Set(["pods", "nodes", "events", "namespaces"]);

/** The kinds of which there are objects where no cluster runs. */
export function ofEngine(resources) {
  return resources.filter(({ id }) => ENGINE.has(id));
}

function plain(resource, group, version) {
  return described({
    plural: resource.name,
    kind: resource.kind,
    singular: resource.singularName,
    group,
    version,
    namespaced: resource.namespaced,
    verbs: resource.verbs ?? [],
    shortNames: resource.shortNames ?? [],
  });
}

function aggregated(member, group, version) {
  return described({
    plural: member.resource,
    kind: member.responseKind?.kind,
    singular: member.singularResource,
    group,
    version,
    namespaced: member.scope === "Namespaced",
    verbs: member.verbs ?? [],
    shortNames: member.shortNames ?? [],
  });
}

function described(resource) {
  const id = resource.group ? `${resource.plural}.${resource.group}` : resource.plural;
  return { ...resource, id };
}

export function byId(resources, id) {
  return resources.find((resource) => resource.id === id);
}

/** The resource of an apiVersion and kind, as owner references name it. */
export function byKind(resources, apiVersion, kind) {
  const group = apiVersion?.includes("/") ? apiVersion.split("/")[0] : "";
  return resources.find((resource) => resource.kind === kind && resource.group === group);
}

/**
 * [{ title, resources }] for the side bar; what is in no section of ours stands under its API
 * group.
 */
export function sections(resources) {
  const rest = new Map(resources.map((resource) => [resource.id, resource]));
  const shown = SECTIONS.map(([title, ids]) => ({ title, resources: taken(rest, ids.split(" ")) }));
  const others = new Map();
  for (const resource of rest.values()) {
    const title = resource.group || "core";
    others.set(title, [...(others.get(title) ?? []), resource]);
  }
  for (const [title, members] of [...others].sort()) shown.push({ title, resources: members });
  return shown.filter((section) => section.resources.length > 0);
}

function taken(rest, ids) {
  const members = ids.map((id) => rest.get(id)).filter(Boolean);
  for (const { id } of members) rest.delete(id);
  return members;
}

/**
 * The resources that a typed word may mean, the likeliest first: short name, name, then what
 * contains it.
 */
export function matches(resources, word) {
  const wanted = word.trim().toLowerCase();
  if (!wanted) return resources;
  const scored = [];
  for (const resource of resources) {
    const score = likeness(resource, wanted);
    if (score > 0) scored.push([score, resource]);
  }
  return scored
    .sort(([a, x], [b, y]) => b - a || x.id.length - y.id.length)
    .map(([, resource]) => resource);
}

function likeness(resource, word) {
  const names = [resource.plural, resource.singular, resource.kind]
    .filter(Boolean)
    .map((name) => name.toLowerCase());
  if (resource.shortNames.includes(word) || names.includes(word)) return 3;
  if (names.some((name) => name.startsWith(word))) return 2;
  return resource.id.includes(word) ? 1 : 0;
}

/** The path of a resource's list, or of one object of it. */
export function path(resource, { namespace = "", name = "", subresource = "" } = {}) {
  const base = resource.group
    ? `/apis/${resource.group}/${resource.version}`
    : `/api/${resource.version}`;
  const scope =
    resource.namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  const tail = [name, subresource]
    .filter(Boolean)
    .map((part) => `/${encodeURIComponent(part)}`)
    .join("");
  return `${base}${scope}/${resource.plural}${tail}`;
}
