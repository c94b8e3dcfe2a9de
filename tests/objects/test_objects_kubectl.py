"""What kubectl makes of the same manifests, as far as it can be asked without a server."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import msgspec
import pytest

from kubelite.lib.manifest_yaml import documents
from kubelite.objects.facts import quantity
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules import reading

MANIFEST = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
  labels: {a: "1", b/c: d}
  annotations: {x: "y"}
  finalizers: [a.b/c]
spec:
  activeDeadlineSeconds: 7
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms:
        - matchExpressions: [{key: k, operator: In, values: [v]}]
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 3
        podAffinityTerm: {topologyKey: t, labelSelector: {}, matchLabelKeys: [m]}
  automountServiceAccountToken: off
  dnsConfig: {nameservers: [1.1.1.1], options: [{name: o, value: "2"}, {name: e}]}
  hostAliases: [{ip: 1.2.3.4, hostnames: [a, b]}]
  hostIPC: yes
  hostNetwork: true
  hostUsers: false
  initContainers: [{name: i, image: i, restartPolicy: Always}]
  os: {name: linux}
  overhead: {cpu: 250m}
  readinessGates: [{conditionType: a/b}]
  schedulingGates: [{name: g}]
  securityContext:
    fsGroup: 0
    seLinuxOptions: {level: s0}
    seccompProfile: {type: Localhost, localhostProfile: x}
    supplementalGroups: [1, 0x10, 010]
    sysctls: [{name: a, value: "1"}]
  setHostnameAsFQDN: true
  tolerations: [{key: k, operator: Exists, tolerationSeconds: 0}, {}]
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: t, whenUnsatisfiable: DoNotSchedule, minDomains: 2}
  volumes:
  - {name: a, emptyDir: {medium: Memory, sizeLimit: 1024Mi}}
  - {name: b, hostPath: {path: /x, type: ""}}
  - {name: c, configMap: {name: m, items: [{key: k, path: p, mode: 0644}], optional: false}}
  - {name: d, projected: {sources: [{serviceAccountToken: {path: t}}, {downwardAPI: {items: []}}]}}
  - name: e
    ephemeral:
      volumeClaimTemplate:
        spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1e3}}}
  - {name: f, csi: {driver: d, volumeAttributes: {a: b}}}
  - {name: g, nfs: {server: s, path: /p}}
  - {name: h, image: {reference: r}}
  containers:
  - name: c
    image: i
    command: [sh]
    args: ["", "8080"]
    env:
    - {name: A, value: ""}
    - {name: B, valueFrom: {fieldRef: {apiVersion: v1, fieldPath: metadata.name}}}
    - {name: C, valueFrom: {secretKeyRef: {name: s, key: k, optional: yes}}}
    envFrom: [{prefix: P_, configMapRef: {name: m}}]
    lifecycle: {preStop: {sleep: {seconds: 3}}, postStart: {exec: {command: [a]}}}
    livenessProbe:
      httpGet: {port: web, path: /, httpHeaders: [{name: a, value: b}]}
      initialDelaySeconds: 1
    readinessProbe: {tcpSocket: {port: 80}, periodSeconds: 1e1}
    ports: [{containerPort: 80, hostIP: 127.0.0.1, hostPort: 81, name: web, protocol: UDP}]
    resources:
      limits: {cpu: 0.5, memory: 1.5Gi, example.com/x: 3, ephemeral-storage: 1000m}
      claims: [{name: x, request: r}]
    resizePolicy: [{resourceName: cpu, restartPolicy: NotRequired}]
    securityContext:
      allowPrivilegeEscalation: false
      appArmorProfile: {type: Unconfined}
      capabilities: {add: [A], drop: [B]}
      procMount: Unmasked
      runAsUser: 0
    startupProbe: {grpc: {port: 1, service: ""}, terminationGracePeriodSeconds: 5}
    stdin: true
    stdinOnce: true
    terminationMessagePolicy: FallbackToLogsOnError
    tty: true
    volumeDevices: [{name: d, devicePath: /d}]
    volumeMounts:
    - {name: a, mountPath: /a, subPathExpr: $(A), recursiveReadOnly: Disabled, readOnly: true}
    workingDir: /w
"""


def kubectl(manifest: str) -> subprocess.CompletedProcess[str]:
    """The manifest as kubectl's own types write it again; it touches the init containers for lack
    of another way in.
    """
    program = shutil.which("kubectl")
    assert program, "kubectl is needed"
    command = [program, "set", "env", "--local", "-f", "-", "-o", "json", "-c", "touched", "KL=1"]
    return subprocess.run(command, input=manifest, capture_output=True, text=True, timeout=60)


def with_touched(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        **spec,
        "initContainers": [*spec.get("initContainers", []), {"name": "touched", "image": "i"}],
    }


def theirs(manifest: dict[str, Any]) -> dict[str, Any]:
    done = kubectl(json.dumps({**manifest, "spec": with_touched(manifest["spec"])}))
    assert done.returncode == 0, done.stderr
    spec = json.loads(done.stdout)["spec"]
    spec["initContainers"].pop()
    return without_empty(spec)


def without_empty(value: Any) -> Any:
    """Without what one side leaves out and the other writes as empty: "" in a field that need not
    be there.
    """
    if isinstance(value, dict):
        kept = {key: without_empty(each) for key, each in value.items()}
        return {
            key: each
            for key, each in kept.items()
            if each is not None and each not in ([], "") and each is not False
        }
    return [without_empty(each) for each in value] if isinstance(value, list) else value


def test_a_pod_with_nearly_every_field_is_read_alike() -> None:
    plain = documents(MANIFEST)[0].value
    document, causes = reading.read("core.v1.Pod", plain)
    assert causes == []
    made = codec.decode(Pod, document)
    ours = msgspec.json.decode(msgspec.json.encode(made.spec))
    expected = theirs(plain)
    # kubectl writes the metadata of a claim's template even where there is none.
    claim = next(volume for volume in expected["volumes"] if volume["name"] == "e")["ephemeral"][
        "volumeClaimTemplate"
    ]
    assert claim.pop("metadata") == {}
    assert without_empty(ours) == expected


AMOUNTS = (
    "1000m 1024Mi 1.5Gi 0.1 100k 1E 5n 5u 1e3 1e-3 1.5e3 12345e1 1e4 1e6 "
    "1500m 1000 1024 1023Ki 1023 512Ki 0.5Ki 0.0001Ki "
    "1.1Ki 1.0000000001 .5 -1 -1.5Gi 0Ki 00.10 9Ei -9Ei 1e30 "
    "0.000000000001 -0.0000000001 123456789012345678901 "
    "1.123456789123 3e-9 999999999n 1000000000000n 100e1 1024.0Ki 5000000000000000000000n 15e2"
).split()


def test_amounts_are_printed_alike() -> None:
    limits = {f"example.com/r{at}": text for at, text in enumerate(AMOUNTS)}
    container = {"name": "c", "image": "i", "resources": {"limits": limits}}
    found = theirs(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p"},
            "spec": {"containers": [container]},
        }
    )
    assert found["containers"][0]["resources"]["limits"] == {
        f"example.com/r{at}": quantity.canonical(text) for at, text in enumerate(AMOUNTS)
    }


@pytest.mark.parametrize(
    "text", ["1ki", "1K", "1e", "1e1.5", "1.5.5", "1,5", "+-1", "1mm", "1ee3", "0x10", "1 Gi", "x"]
)
def test_what_is_no_amount_is_none_for_kubectl_either(text: str) -> None:
    container = {"name": "touched", "image": "i", "resources": {"limits": {"cpu": text}}}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [container]},
    }
    assert kubectl(json.dumps(manifest)).returncode != 0
    with pytest.raises(quantity.QuantityError):
        quantity.parse(text)
