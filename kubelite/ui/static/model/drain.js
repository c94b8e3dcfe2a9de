// Which pods leave a node that is drained. Pure.

/**
 * { leaving, staying, unowned, withData } of the pods on a node: those of a DaemonSet and static
 * ones stay; those without a controller do not come back; an emptyDir goes with its pod.
 */
export function drainPlan(pods) {
  const plan = { leaving: [], staying: [], unowned: [], withData: [] };
  for (const pod of pods) {
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller);
    const isMirror = pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
    const hasEnded = ["Succeeded", "Failed"].includes(pod.status?.phase);
    if (isMirror || (owner?.kind === "DaemonSet" && !hasEnded)) {
      plan.staying.push(pod);
      continue;
    }
    plan.leaving.push(pod);
    if (hasEnded) continue;
    if (!owner) plan.unowned.push(pod);
    if (pod.spec.volumes?.some(({ emptyDir }) => emptyDir)) plan.withData.push(pod);
  }
  return plan;
}
