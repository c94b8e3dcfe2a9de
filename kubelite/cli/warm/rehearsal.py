"""What a process finds out once and keeps: found out here before it forks, no child has to.

Types that are decoded, tables of fields, compiled patterns. Nothing here depends on the caller's
environment, and nothing is read or written outside this process.
"""

from __future__ import annotations

import contextlib

import msgspec

from kubelite.cli import review
from kubelite.lib import manifest_yaml
from kubelite.node.image import reference

_MANIFEST = b"""\
apiVersion: v1
kind: Pod
metadata: {name: rehearsal, labels: {app: rehearsal}, annotations: {note: "1"}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  securityContext: {runAsUser: 1, fsGroup: 1}
  volumes:
  - {name: files, hostPath: {path: /srv, type: Directory}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: settings, configMap: {name: settings}}
  initContainers:
  - {name: first, image: "registry.example:5000/first:1", command: ["true"]}
  containers:
  - name: main
    image: main
    command: [sh, -c, "exit 0"]
    env: [{name: ONE, value: "1"}]
    ports: [{containerPort: 80, hostPort: 8080, protocol: TCP}]
    resources: {requests: {cpu: 1.5, memory: 1Gi}, limits: {cpu: 2, memory: 64Mi}}
    readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
    securityContext: {capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}
    volumeMounts: [{name: files, mountPath: /srv, readOnly: true}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {key: value}
"""


def rehearse() -> None:
    """Reads a manifest as `pod up` reads one, and looks at every type that is decoded."""
    _build_decoders()
    review.review(manifest_yaml.documents(_MANIFEST), "rehearsal")
    reference.parse("registry.example:5000/path/name:tag@sha256:" + "0" * 64)


def _build_decoders() -> None:
    pending: list[type[msgspec.Struct]] = [msgspec.Struct]
    while pending:
        for kind in pending.pop().__subclasses__():
            pending.append(kind)
            if kind.__module__.startswith("kubelite."):
                # A type that is never decoded may have annotations that only a type checker sees.
                with contextlib.suppress(NameError, TypeError):
                    msgspec.json.Decoder(kind)
