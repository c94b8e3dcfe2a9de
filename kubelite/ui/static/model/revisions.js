// The revisions of a workload's template, and what rolls it back to one. Pure.
//
// A Deployment keeps them as its ReplicaSets, StatefulSets and DaemonSets as ControllerRevisions.

const [REVISION, CAUSE] = ["deployment.kubernetes.io/revision", "kubernetes.io/change-cause"];
const HASH = "pod-template-hash";

/** Where the revisions of a kind are: { resource, type of the patch }, or null. */
export function keeperOf(id) {
  if (id === "deployments.apps") return { resource: "replicasets.apps", type: "json" };
  if (id === "statefulsets.apps" || id === "daemonsets.apps")
    return { resource: "controllerrevisions.apps", type: "strategic" };
  return null;
}

/**
 * [{ revision, images, cause, time, isCurrent, patch }] of what the workload owns, the newest
 * first. The newest is the current one: going back makes an old one the newest.
 */
export function revisionsOf({ metadata }, keepers) {
  const revisions = keepers
    .filter((keeper) => keeper.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid))
    .map((keeper) => (keeper.data ? ofControllerRevision(keeper) : ofReplicaSet(keeper, metadata)))
    .sort((a, b) => b.revision - a.revision);
  return revisions.map((one, index) => ({ ...one, isCurrent: index === 0 }));
}

function ofReplicaSet({ metadata, spec }, owner) {
  const { [HASH]: _, ...labels } = spec.template.metadata?.labels ?? {};
  const template = { ...spec.template, metadata: { ...spec.template.metadata, labels } };
  const cause = metadata.annotations?.[CAUSE] ?? "";
  const patch = [{ op: "replace", path: "/spec/template", value: template }];
  if (cause && owner.annotations)
    patch.push({ op: "add", path: `/metadata/annotations/${pointer(CAUSE)}`, value: cause });
  const revision = Number(metadata.annotations?.[REVISION] ?? 0);
  return { revision, cause, patch, time: metadata.creationTimestamp, images: images(template) };
}

/** Its data is the patch: a template that takes the place of the other one. */
function ofControllerRevision({ metadata, data, revision }) {
  const cause = metadata.annotations?.[CAUSE] ?? "";
  const time = metadata.creationTimestamp;
  return { revision, cause, patch: data, time, images: images(data.spec?.template) };
}

function images(template) {
  return (template?.spec?.containers ?? []).map(({ image }) => image).join(", ");
}

function pointer(key) {
  return key.replace(/~/g, "~0").replace(/\//g, "~1");
}
