// What a workload's pods are made from, and changes to it. Pure.

const TEMPLATE = ["spec", "template"];
const PATHS = {
  pods: [],
  "deployments.apps": TEMPLATE,
  "statefulsets.apps": TEMPLATE,
  "daemonsets.apps": TEMPLATE,
  "replicasets.apps": TEMPLATE,
  replicationcontrollers: TEMPLATE,
  "cronjobs.batch": ["spec", "jobTemplate", "spec", "template"],
};

/** Whether images of objects of this kind can be changed. */
export function hasImages(id) {
  return id in PATHS;
}

/** [{ list, name, image }]: list is "containers" or "initContainers". */
export function imagesOf(id, object) {
  const { spec } = PATHS[id].reduce((value, key) => value[key], object);
  return ["initContainers", "containers"].flatMap((list) =>
    (spec[list] ?? []).map(({ name, image }) => ({ list, name, image })),
  );
}

/** The strategic merge patch that gives containers their images. */
export function imagePatch(id, changes) {
  const spec = {};
  for (const { list, name, image } of changes) (spec[list] ??= []).push({ name, image });
  return PATHS[id].reduceRight((value, key) => ({ [key]: value }), { spec });
}

/** The Job that a CronJob would make, made by hand. `suffix` makes its name. */
export function jobOf({ metadata, spec }, suffix) {
  const { metadata: { labels, annotations } = {}, spec: jobSpec } = spec.jobTemplate;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name: `${metadata.name.slice(0, 49)}-${suffix}`,
      labels,
      annotations: { ...annotations, "cronjob.kubernetes.io/instantiate": "manual" },
      ownerReferences: [
        {
          apiVersion: "batch/v1",
          kind: "CronJob",
          name: metadata.name,
          uid: metadata.uid,
          controller: true,
        },
      ],
    },
    spec: jobSpec,
  };
}
