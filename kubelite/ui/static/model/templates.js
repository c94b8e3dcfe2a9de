// Texts to begin a new object from. Pure.

const POD_SPEC = `containers:
- name: web
  image: docker.io/library/nginx:1.29
  ports:
  - containerPort: 80
  resources:
    requests:
      cpu: 50m
      memory: 64Mi
    limits:
      memory: 128Mi`;

const SELECTED = (kind) => `apiVersion: apps/v1
kind: ${kind}
metadata:
  name: web
spec:
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
${indented(POD_SPEC, 6)}
`;

const RUN_ONCE = `restartPolicy: OnFailure
containers:
- name: main
  image: docker.io/library/busybox:1.37
  command: ["sh", "-c", "date"]`;

const TEMPLATES = {
  pods: `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app: web
spec:
${indented(POD_SPEC, 2)}
`,
  "deployments.apps": SELECTED("Deployment").replace("spec:\n", "spec:\n  replicas: 2\n"),
  "daemonsets.apps": SELECTED("DaemonSet"),
  "statefulsets.apps": SELECTED("StatefulSet").replace(
    "spec:\n",
    "spec:\n  replicas: 1\n  serviceName: web\n",
  ),
  "jobs.batch": `apiVersion: batch/v1
kind: Job
metadata:
  name: once
spec:
  template:
    spec:
${indented(RUN_ONCE, 6)}
`,
  "cronjobs.batch": `apiVersion: batch/v1
kind: CronJob
metadata:
  name: hourly
spec:
  schedule: "0 * * * *"
  jobTemplate:
    spec:
      template:
        spec:
${indented(RUN_ONCE, 10)}
`,
  services: `apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
  - port: 80
    targetPort: 80
`,
  "ingresses.networking.k8s.io": `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
spec:
  rules:
  - host: web.example
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: web
            port:
              number: 80
`,
  configmaps: `apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  key: value
`,
  secrets: `apiVersion: v1
kind: Secret
metadata:
  name: credentials
stringData:
  password: ""
`,
  persistentvolumeclaims: `apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
spec:
  accessModes:
  - ReadWriteOnce
  resources:
    requests:
      storage: 1Gi
`,
  "horizontalpodautoscalers.autoscaling": `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: web
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: web
  minReplicas: 1
  maxReplicas: 5
  metrics:
  - type: Resource
    resource:
      name: cpu
      target:
        type: Utilization
        averageUtilization: 70
`,
};

function indented(text, width) {
  return text.replace(/^/gm, " ".repeat(width));
}

/** A text for a resource; of a kind without one of ours, what every object has. */
export function template({ id, group, version, kind }) {
  const apiVersion = group ? `${group}/${version}` : version;
  return (
    TEMPLATES[id] ?? `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata:\n  name: example\n`
  );
}
