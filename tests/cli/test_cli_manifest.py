"""Manifests on the command line: what is refused, where the error points, and that nothing is
created then.
"""

# a table reads better with one case in a line

from __future__ import annotations

import functools
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kubelite.cli.common import manifest
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.error_codes import CODES

HEAD = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n"
GOOD = HEAD + "  containers:\n  - name: c\n    image: host\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: c, image: host}]
"""
SECRET = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys}\ndata: {a: YQ==}\n"


def written(tmp_path: Path, text: str | bytes, name: str = "p.yaml") -> str:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def refused(source: str, **options: object) -> tuple[Diagnostic, ...]:
    with pytest.raises(CliError) as caught:
        manifest.load(source, **options)  # type: ignore[arg-type]
    return caught.value.diagnostics


# The text, where the error points (line:column and JSON path), its code, and words of its message
# and of its hint.
BAD: list[tuple[str, str | bytes, str, str, str, str]] = [
    ("not YAML", GOOD + "   x: [\n", "8:4", "KL102", "not YAML", ""),
    ("a tab", HEAD + "\tcontainers: []\n", "5:1", "KL102", "tab", ""),
    ("duplicate key", GOOD + "    image: other\n", "8:5", "KL102",
     'duplicate key "image" (first defined on line 7)', ""),
    ("binary", Path(sys.executable).read_bytes()[:4096], "", "KL102", "not text", ""),
    ("not UTF-8", b"a: b\nc: \xe9\n", "2:4", "KL102", "not UTF-8", ""),
    ("empty", "", "", "KL103", "is empty", "kind: Pod"),
    ("blank", " \n\n", "", "KL103", "is empty", "kind: Pod"),
    ("only comments", "# nothing\n---\n", "", "KL103", "there is no Pod", "kind: Pod"),
    ("10 MB", b"# " + b"x" * (10 << 20), "", "KL101", "too large", "volume"),
    ("unknown field", GOOD + "    livenesProbe: {}\n", "8:5   spec.containers[0].livenesProbe",
     "KL104",
     'unknown field "livenesProbe"', 'did you mean "livenessProbe"?'),
    ("field of another place", GOOD + "    hostNetwork: true\n",
     "8:5   spec.containers[0].hostNetwork", "KL104",
     'unknown field "hostNetwork"', "a field of spec"),
    ("wrong type", GOOD + "    args: [1]\n", "8:12   spec.containers[0].args[0]", "KL105",
     "expected string, got integer", '"1"'),
    ("boolean for a text", GOOD + "    env: [{name: A, value: yes}]\n",
     "8:28   spec.containers[0].env[0].value", "KL105",
     "expected string, got boolean", "YAML reads y, n, yes"),
    ("text for a list", GOOD + "    command: sh\n", "8:14   spec.containers[0].command", "KL105",
     "expected list, got string", '"- "'),
    ("bad quantity", GOOD + "    resources: {limits: {memory: 64MB}}\n",
     "8:34   spec.containers[0].resources.limits[memory]",
     "KL106", "not a quantity", "did you mean 64Mi"),
    ("no image", HEAD + "  containers:\n  - name: c\n", "6:5   spec.containers[0].image", "KL107",
     "image: Required value", "host"),
    ("no spec", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n", "1:1   spec.containers",
     "KL107", "Required value", "one container"),
    ("no kind", "apiVersion: v1\nmetadata: {name: p}\n", "1:1", "KL107", "kind: Required value",
     "kind: Pod"),
    ("bad value", GOOD + "  restartPolicy: never\n", "8:18   spec.restartPolicy", "KL108",
     "Unsupported value", '"Never"'),
    ("bad name", GOOD.replace("name: p", "name: Web_1"), "3:18   metadata.name", "KL109",
     'Invalid value: "Web_1"', "web-1"),
    ("two of one name", GOOD + "  - {name: c, image: host}\n", "8:12   spec.containers[1].name",
     "KL110", 'Duplicate value: "c"', ""),
    ("two pods of one name", GOOD + "---\n" + GOOD, "11:18   metadata.name", "KL110",
     'Duplicate value: "p"', ""),
    ("no such volume",
     GOOD + "    volumeMounts: [{name: dta, mountPath: /d}]\n  volumes: [{name: data}]\n",
     "8:27   spec.containers[0].volumeMounts[0].name", "KL111", 'Not found: "dta"',
     'did you mean "data"?'),
    ("a kind for clusters", "apiVersion: v1\nkind: Service\nspec: {}\n", "2:7   kind", "KL117",
     "Service needs a cluster", "`kubelite up`"),
    ("a Deployment without a template", DEPLOYMENT.replace("template:", "templat:"),
     "9:3   spec.templat", "KL104", "unknown field", '"template"'),
    ("a Deployment whose selector misses",
     DEPLOYMENT.replace("{app: web}}\n    spec", "{app: w}}\n    spec"),
     "10:24   spec.template.metadata.labels", "KL108",
     "`selector` does not match template `labels`", ""),
    ("a template that Kubernetes refuses", DEPLOYMENT + "      restartPolicy: Never\n",
     "13:22   spec.template.spec.restartPolicy", "KL108", "Unsupported value", ""),
    ("a template that is not served", DEPLOYMENT + "      runtimeClassName: x\n",
     "13:7   spec.template.spec.runtimeClassName", "KL113", "only runtime", "--lenient"),
    ("a template whose ConfigMap is missing",
     DEPLOYMENT + "      volumes: [{name: v, configMap: {name: m}}]\n",
     "13:45   spec.template.spec.volumes[0].configMap.name", "KL111", 'configmap "m" not found',
     ""),
    ("a Pod of the name of a Deployment's",
     DEPLOYMENT + "---\n" + GOOD.replace("name: p", "name: web-1"), "16:18   metadata.name",
     "KL110", 'Duplicate value: "web-1"', ""),
    ("two of one Deployment", DEPLOYMENT + "---\n" + DEPLOYMENT, "16:18   metadata.name", "KL110",
     'Duplicate value: "web"', ""),
    ("a claim that is not there",
     GOOD + "  volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]\n",
     "8:58   spec.volumes[0].persistentVolumeClaim.claimName", "KL111",
     'persistentvolumeclaim "c" not found', "put the PersistentVolumeClaim into"),
    ("a claim of nothing",
     GOOD + ("---\napiVersion: v1\nkind: PersistentVolumeClaim\n"
             "metadata: {name: c}\nspec: {accessModes: [ReadWriteOnce]}\n"),
     "12:7   spec.resources[storage]", "KL107", "Required value", ""),
    ("unknown kind", "apiVersion: v1\nkind: Pdo\n", "2:7   kind", "KL112", 'unknown kind "Pdo"',
     'did you mean "Pod"?'),
    ("a custom kind of a known name", "apiVersion: serving.example.dev/v1\nkind: Service\n",
     "2:7   kind", "KL117", "needs a cluster that has its definition", "CustomResourceDefinition"),
    ("a kind that is gone", "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\n",
     "2:7   kind", "KL112", 'unknown kind "PodSecurityPolicy"', "--lenient"),
    ("another version", "apiVersion: apps/v1\nkind: Pod\n", "1:13   apiVersion", "KL108",
     'no kind "Pod"', "apiVersion: v1"),
    ("not an object", "just a text\n", "1:1", "KL105", "not an object", "kind: Pod"),
    ("a list of them", "- a\n- b\n", "1:1", "KL105", "not an object", "kind: Pod"),
    ("field not supported", GOOD + "    volumeDevices: [{name: v, devicePath: /d}]\n",
     "8:5   spec.containers[0].volumeDevices",
     "KL113", "not supported", "--lenient"),
    ("volume not supported", GOOD + "  volumes: [{name: v, rbd: {image: i, monitors: [a]}}]\n",
     "8:23   spec.volumes[0].rbd", "KL113",
     "rbd is not supported", "--lenient"),
    ("a token without a cluster",
     GOOD + "  volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]\n",
     "8:46   spec.volumes[0].projected.sources[0].serviceAccountToken", "KL113", "`kubelite up`",
     "--lenient"),
    ("a ConfigMap that is not there", GOOD + "    envFrom: [{configMapRef: {name: a}}]\n",
     "8:37   spec.containers[0].envFrom[0].configMapRef.name", "KL111", 'configmap "a" not found',
     "put the ConfigMap into the same file"),
    ("a Secret of another name",
     GOOD + "  volumes: [{name: v, secret: {secretName: keyz}}]\n" + SECRET,
     "8:44   spec.volumes[0].secret.secretName", "KL111", 'secret "keyz" not found',
     'did you mean "keys"?'),
    ("a Secret of another namespace",
     GOOD + "  volumes: [{name: v, secret: {secretName: keys}}]\n"
     + SECRET.replace("keys", "keys, namespace: far"),
     "8:44   spec.volumes[0].secret.secretName", "KL111", 'secret "keys" not found',
     'in namespace "default", the Secret in "far"'),
    ("a key that is not there",
     GOOD + "    env: [{name: A, valueFrom: {secretKeyRef: {name: keys, key: b}}}]\n" + SECRET,
     "8:65   spec.containers[0].env[0].valueFrom.secretKeyRef.key", "KL111",
     "couldn't find key b in Secret default/keys", '"a"'),
    ("a file that is not there",
     GOOD + ("  volumes: [{name: v, secret: {secretName: keys, "
             "items: [{key: b, path: p}]}}]\n") + SECRET,
     "8:64   spec.volumes[0].secret.items[0].key", "KL111", "references non-existent secret key: b",
     '"a"'),
    ("a number in a ConfigMap",
     GOOD + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {port: 80}\n",
     "12:14   data[port]", "KL105", "expected string, got integer", '"80"'),
    ("not base64", GOOD + SECRET.replace("YQ==", "a b"), "12:11   data[a]", "KL108",
     "must be base64", "rule"),
    ("a bad key", GOOD + SECRET.replace("{a:", "{a/b:"), "12:13   data[a/b]", "KL108",
     "Invalid value", ""),
    ("two Secrets of one name", GOOD + SECRET + SECRET, "16:18   metadata.name", "KL110",
     'Duplicate value: "keys"', ""),
    ("a Secret without a name", GOOD + SECRET.replace("{name: keys}", "{}"),
     "11:11   metadata.name", "KL107", "Required value", ""),
    ("a misspelled field of a Secret", GOOD + SECRET.replace("\ndata:", "\ndat:"), "12:1   dat",
     "KL104", 'unknown field "dat"', 'did you mean "data"?'),
    ("in a List",
     ("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n"
      "  metadata: {name: p}\n  spec: {container: []}\n"),
     "7:10   items[0].spec.container", "KL104", 'unknown field "container"',
     'did you mean "containers"?'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "code", "message", "hint"),
    [row[1:] for row in BAD],
    ids=[row[0] for row in BAD],
)
def test_a_bad_manifest_is_refused_with_place_code_and_hint(
    tmp_path: Path, text: str | bytes, place: str, code: str, message: str, hint: str
) -> None:
    source = written(tmp_path, text)
    trouble = refused(source)[0]
    assert trouble.place == (f"{source}:{place}" if place else "")
    assert trouble.code == code
    assert message in trouble.message and "\n" not in trouble.message
    assert trouble.hint and hint in trouble.hint


@pytest.mark.parametrize(
    "name",
    [
        "duplicate key",
        "unknown field",
        "10 MB",
        "binary",
        "empty",
        "field not supported",
        "no such volume",
    ],
)
def test_the_command_fails_before_anything_is_created(tmp_path: Path, name: str) -> None:
    text = next(row[1] for row in BAD if row[0] == name)
    source = written(tmp_path, text)
    root = tmp_path / "root"
    command = [sys.executable, "-m", "kubelite", "--root", str(root), "pod", "up", source]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, env={**os.environ, "NO_COLOR": "1"}
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert not root.exists()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (missing,) = refused(str(tmp_path / "none.yaml"))
    assert (missing.code, missing.message) == (
        "KL101",
        f"{tmp_path}/none.yaml cannot be read: no such file or directory",
    )
    assert "stdin" in missing.hint
    (directory,) = refused(str(tmp_path))
    assert directory.code == "KL101"
    assert f"{tmp_path} is a directory without a kustomization" in directory.message


def test_a_manifest_is_downloaded_and_what_goes_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(GOOD)
    handler = functools.partial(SilentHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        (pod,) = manifest.load(f"{url}/pod.yaml").pods
        (missing,) = refused(f"{url}/other.yaml")
    finally:
        server.shutdown()
        server.server_close()
    (gone,) = refused(f"{url}/pod.yaml")
    unknown = [
        *refused("https://[bad/pod.yaml"),
        *refused("https://no such host/pod.yaml"),
        *refused(spoken_to(b"SSH-2.0-server\r\n\r\n")),
    ]
    assert pod.metadata.name == "p"
    assert {each.code for each in (missing, gone, *unknown)} == {"KL116"}
    said = f"{url}/other.yaml cannot be downloaded: the server answered 404 File not found"
    assert missing.message == said
    assert gone.message == f"{url}/pod.yaml cannot be downloaded: Connection refused"


def spoken_to(answer: bytes) -> str:
    """The URL of a server that answers once, whatever it is asked."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(4096)
            connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/pod.yaml"


class SilentHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def test_a_kustomization_is_built_by_kubectl(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pod.yaml").write_text(GOOD)
    kustomization = tmp_path / "kustomization.yaml"
    kustomization.write_text("resources: [pod.yaml]\nnamePrefix: dev-\n")
    (pod,) = manifest.load(str(tmp_path)).pods
    assert pod.metadata.name == "dev-p"
    kustomization.write_text("resources: [other.yaml]\n")
    (broken,) = refused(str(tmp_path))
    assert broken.code == "KL118" and "other.yaml" in broken.message
    monkeypatch.setenv("PATH", str(tmp_path))
    (without,) = refused(str(tmp_path))
    assert without.code == "KL118" and "kubectl" in without.message and without.hint


def test_all_errors_come_at_once_in_the_order_of_the_file_and_no_more_than_a_screen_of_them(
    tmp_path: Path,
) -> None:
    source = written(
        tmp_path, GOOD.replace("host\n", "7\n") + "    bogus: 1\n  hostPID: 3\n  restartPolicy: x\n"
    )
    assert [trouble.place.split(":")[1] for trouble in refused(source)] == ["7", "8", "9", "10"]
    many = refused(written(tmp_path, GOOD + "".join(f"    bogus{n}: 1\n" for n in range(100))))
    assert len(many) == manifest.MAX_SHOWN + 1
    assert many[-1].message == "75 more errors are not shown"


def test_pods_come_with_defaults_in_their_order_from_documents_and_lists(tmp_path: Path) -> None:
    listed = "---\napiVersion: v1\nkind: List\nitems:\n" + "".join(
        f"- {{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, "
        f"spec: {{containers: [{{name: c, image: host}}]}}}}\n"
        for name in ("b", "c")
    )
    plan = manifest.load(written(tmp_path, GOOD + listed), namespace="here")
    assert [(pod.metadata.namespace, pod.metadata.name) for pod in plan.pods] == [
        ("here", "p"),
        ("here", "b"),
        ("here", "c"),
    ]
    assert {pod.spec.restart_policy for pod in plan.pods} == {"Always"}
    assert plan.warnings == []


def test_the_namespace_of_the_manifest_and_that_of_the_command_line(tmp_path: Path) -> None:
    source = written(tmp_path, GOOD.replace("{name: p}", "{name: p, namespace: own}"))
    assert manifest.load(source).pods[0].metadata.namespace == "own"
    assert manifest.load(source, namespace="own").pods[0].metadata.namespace == "own"
    (other,) = refused(source, namespace="other")
    assert (other.code, other.place) == ("KL115", f"{source}:3:32   metadata.namespace")
    assert manifest.load(written(tmp_path, GOOD)).pods[0].metadata.namespace == "default"


def test_lenient_warns_and_runs_without_what_is_not_supported(tmp_path: Path) -> None:
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
    source = written(tmp_path, GOOD + "    envFrom: [{configMapRef: {name: a}}]\n" + service)
    assert len(refused(source)) == 1
    plan = manifest.load(source, lenient=True)
    assert [warning.code for warning in plan.warnings] == ["KL111", "KL117"]
    (source_of_variables,) = plan.pods[0].spec.containers[0].env_from
    assert source_of_variables.config_map_ref is None
    refused(written(tmp_path, service), lenient=True)


def test_objects_that_pods_refer_to_may_stand_in_another_file(tmp_path: Path) -> None:
    pod = written(tmp_path, GOOD + "    envFrom: [{secretRef: {name: keys}}]\n")
    unused = SECRET.replace("keys", "unused").replace("data: {a: YQ==}", "stringData: {b: c}")
    other = written(tmp_path, SECRET + unused, "s.yaml")
    plan = manifest.load_all([pod, other])
    (document,) = plan.documents(plan.pods[0])
    assert document["metadata"] == {"name": "keys", "namespace": "default"}
    assert (document["type"], document["data"]) == ("Opaque", {"a": "YQ=="})
    assert "there is no Pod" in refused(other)[0].message
    with pytest.raises(CliError, match="Duplicate"):
        manifest.load_all([pod, other, written(tmp_path, GOOD, "again.yaml")])


def test_an_optional_object_may_be_missing(tmp_path: Path) -> None:
    volume = "  volumes: [{name: v, configMap: {name: m, optional: true}}]\n"
    plan = manifest.load(written(tmp_path, GOOD + volume))
    assert (plan.warnings, plan.documents(plan.pods[0])) == ([], [])


def test_fields_without_effect_are_accepted_and_weaker_isolation_is_told(tmp_path: Path) -> None:
    plan = manifest.load(written(tmp_path, GOOD + "  serviceAccountName: robot\n"))
    assert plan.warnings == []
    plan = manifest.load(
        written(tmp_path, GOOD + "  securityContext: {appArmorProfile: {type: RuntimeDefault}}\n")
    )
    assert [warning.code for warning in plan.warnings] == ["KL114"]


def test_what_a_server_shows_can_be_brought_up_again(tmp_path: Path) -> None:
    text = GOOD.replace(
        "{name: p}",
        "{name: p, uid: u, creationTimestamp: null, deletionTimestamp: 2026-01-01T00:00:00Z}",
    )
    (pod,) = manifest.load(written(tmp_path, text + "status: {phase: Running}\n")).pods
    assert (pod.metadata.uid, pod.metadata.deletion_timestamp, pod.status) == (None, None, None)


def test_names_are_read_whatever_else_is_wrong(tmp_path: Path) -> None:
    text = (
        "kind: Pod\nmetadata: {name: a, bogus: 1}\nspec: 7\n---\nkind: Service\n---\n"
        "kind: Pod\nmetadata: {name: b, namespace: there}\n"
    )
    assert manifest.named(written(tmp_path, text), None).pods == [("default", "a"), ("there", "b")]
    assert manifest.named(written(tmp_path, text), "x").pods == [("x", "a"), ("there", "b")]
    with pytest.raises(CliError):
        manifest.named(written(tmp_path, "kind: Service\n"), None)
    generated = "kind: Pod\nmetadata: {generateName: a-}\n---\n" + DEPLOYMENT
    found = manifest.named(written(tmp_path, generated), None)
    assert found.prefixes == [("default", "a-")]
    assert found.owners == [("default", "Deployment/web")]


def run(*words: str, input: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubelite", *words]
    return subprocess.run(
        command,
        input=input,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_check_says_clean_findings_or_unreadable_by_its_exit_code(tmp_path: Path) -> None:
    clean = run("pod", "check", "-", input=GOOD)
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "stdin: 1 pod, clean\n")
    noted = run("pod", "check", written(tmp_path, GOOD + "  nodeName: other\n"))
    assert noted.returncode == 0
    assert (
        noted.stdout.startswith("note: nodeName has no effect: ")
        and "8:3   spec.nodeName" in noted.stdout
    )
    source = written(tmp_path, GOOD + "    envFrom: [{configMapRef: {name: a}}]\n    bogus: 1\n")
    findings = run("pod", "check", source)
    assert findings.returncode == 1
    assert [line for line in findings.stdout.splitlines() if line.startswith("error: ")] == [
        line for line in findings.stdout.splitlines() if re.match(r"error: .*\[KL1(11|04)\]$", line)
    ]
    assert findings.stdout.count("error: ") == 2 and "2 errors" in findings.stderr
    lenient = run(
        "pod",
        "check",
        "--lenient",
        written(tmp_path, GOOD + "    envFrom: [{configMapRef: {name: a}}]\n"),
    )
    assert lenient.returncode == 0 and lenient.stdout.startswith("warning: ")
    for source in (str(tmp_path), written(tmp_path, "a: [")):
        assert run("pod", "check", source).returncode == 2


def test_every_code_is_explained_and_every_explanation_is_of_a_code_in_use() -> None:
    package = Path(manifest.__file__).parents[1]
    used = {
        code
        for path in package.rglob("*.py")
        if path.name != "codes.py"
        for code in re.findall(r'"(KL[0-9]{3})"', path.read_text())
    }
    used |= {
        code
        for name, code in vars(sys.modules["kubelite.cli.common.error_codes"]).items()
        if name.isupper() and isinstance(code, str)
    }
    assert used == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_an_explanation_is_of_readable_width(code: str) -> None:
    from kubelite.cli.common.error_codes import explained

    page = explained(code)
    assert page is not None and page.startswith(f"{code}: ")
    assert max(map(len, page.splitlines())) <= 80
    assert explained(code.lower()) == explained(code[2:]) == page


def test_explain_on_the_command_line() -> None:
    known = run("explain", "kl104")
    assert known.returncode == 0 and known.stdout.startswith("KL104: unknown field\n")
    unknown = run("explain", "KL999")
    assert unknown.returncode == 1 and "KL101" in unknown.stderr
