"""Our verbs beside kubectl's: the same command lines, each tool in a namespace of its own of one
cluster, print the same and leave the same objects behind.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.testing.cluster import Cluster, run_cluster
from tests.cli.terminal import STYLES, Transcript, run
from tests.control.debian import kubectl_of

MANIFESTS = Path(__file__).parent / "manifests"
THEIRS, OURS = "their-space", "our-space"
LINES = """
create deployment d --image=example/d:1 --replicas=2 --port=80
rollout status deployment/d
get all
get deploy d -o wide
get deploy/d sa/default
get deploy d -o json
get deploy -o yaml
get deploy d nothing
get deploy nothing --ignore-not-found
get pods -l app=none
get pods -l app=none -A --no-headers
get deploy -L app,tier --show-labels
get pods --field-selector=status.phase=Running -o name
get deploy -o 'jsonpath={range .items[*]}{.metadata.name}{"\\t"}{.spec.replicas}{"\\n"}{end}'
get deploy -o custom-columns=NAME:.metadata.name,IMAGE:.spec.template.spec.containers[0].image,X:.x
get no -o wide --sort-by=.metadata.name
get clusterroles -o yaml
get nothing
api-resources -o wide
api-resources --namespaced=false --no-headers
auth can-i get pods
auth whoami
scale deployment d --replicas=3
scale deployment d --current-replicas=1 --replicas=4
set image deployment/d d=example/d:2
set image deployment/d nothing=example/d:2
set env deployment/d MODE=fast LEVEL=1
set env deployment/d LEVEL-
set env deployment/d --list
set resources deployment/d --limits=cpu=200m,memory=64Mi --requests=cpu=100m
set serviceaccount deployment/d default
rollout history deployment/d
rollout pause deployment/d
rollout pause deployment/d
rollout resume deployment/d
rollout restart deployment/d
rollout undo deployment/d --to-revision=1
rollout undo deployment/d --to-revision=99
expose deployment d --port=80 --target-port=8080
label deployment d tier=web
label deployment d tier=other
label deployment d tier=other --overwrite
label deployment d tier-
annotate deployment d note=here
patch deployment d -p '{"spec":{"replicas":1}}'
patch deployment d -p '{"spec":{"replicas":1}}'
patch deployment d --type=json -p '[{"op":"replace","path":"/spec/replicas","value":2}]'
patch deployment d --type=merge -p '{"spec":{"replicas":-1}}'
rollout status deployment/d
get deploy d -o yaml
get svc d -o yaml
wait deployment/d --for=condition=Available --timeout=20s
wait deployment/d --for=jsonpath={.spec.replicas}=2 --timeout=20s
wait deployment/nothing --for=condition=Available --timeout=1s
create configmap c --from-literal=a=b --from-literal=n=1 --from-file=web.yaml
get cm c -o yaml
create configmap c
create secret generic s --from-literal=user=admin
create role reader --verb=get,list --resource=pods,deployments.apps
create rolebinding readers --role=reader --serviceaccount=default:robot --user=ann
get role,rolebinding -o yaml
create cronjob cj --image=example/j --schedule='*/5 * * * *'
create job again --from=cronjob/cj
create service clusterip front --tcp=80:8080
run one --image=example/one --port=80 --labels=a=b --env=X=y
wait pod/one --for=condition=Ready --timeout=20s
get secret/s svc/front cj/cj job/again pod/one -o yaml
apply -f web.yaml
apply -f web.yaml
apply -f web2.yaml --dry-run=server
apply -f web2.yaml
get -f web.yaml -o name
delete -f web.yaml
delete -f web.yaml
delete -f web.yaml --ignore-not-found
delete deployment d
delete pods --all --force --grace-period=0
delete pod nothing
delete cm c --dry-run=server
delete cm
create -f pod.yaml
create -f pod.yaml
explain deployments.spec.replicas
explain pods.spec.containers.resources
explain job --recursive
"""
BLANKS = [
    (rf"\b({THEIRS}|{OURS})\b", "SPACE"),
    (r"(?m)\b[0-9]+[smhd]([0-9]+[sm])?\b(?= |$)", "AGE"),
    (r"\b(d|again|cj|web)-[0-9a-z]{5,10}(-[0-9a-z]{5})?\b", r"\1-HASH"),
    (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z", "TIME"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UID"),
    (r'((?:resourceVersion|observedGeneration|generation)"?: )"?[0-9]+"?', r"\1N"),
    (r"\b10\.[0-9]+\.[0-9]+\.[0-9]+\b", "IP"),
    (r"(/tmp/)?(LIVE|MERGED)-[^/ \t]*", r"\2"),
    (r"kube-api-access-[0-9a-z]{5}", "kube-api-access-HASH"),
    (r"[ \t]+", " "),
    (r"(?m)^(Waiting for|Warning:) .*\n", ""),
]
"""What differs from run to run, and columns that are as wide as it."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with run_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


class Tools:
    """kubectl and our verbs on one cluster."""

    def __init__(self, cluster: Cluster, home: Path) -> None:
        self.config = str(cluster.kubeconfig())
        self.more: dict[str, str] = {}
        self._home = home
        for namespace in (THEIRS, OURS):
            self.kubectl("create", "namespace", namespace)

    def _own(self) -> dict[str, str]:
        return {"KUBECONFIG": self.config, "HOME": str(self._home)}

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [kubectl_of("new"), *words],
            cwd=MANIFESTS,
            env={**os.environ, **self._own()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kubectl(self, *words: str) -> str:
        return self.start(*words).communicate(timeout=60)[0]

    def ours(self, *words: str, cwd: Path = MANIFESTS, until: str = "") -> Transcript:
        return run(
            STYLES["piped"],
            ["-n", OURS, *words],
            root=str(self._home),
            cwd=str(cwd),
            more={**self._own(), **self.more},
            until=until,
        )


@pytest.fixture
def tools(cluster: Cluster, tmp_path: Path) -> Tools:
    return Tools(cluster, tmp_path)


def blanked(text: str) -> list[str]:
    """The lines of an output; pods and refusals come in any order."""
    for pattern, blank in BLANKS:
        text = re.sub(pattern, blank, text)
    return sorted(line.rstrip() for line in text.splitlines())


def test_the_same_lines_print_the_same(tools: Tools) -> None:
    problems = []
    for line in LINES.strip().splitlines():
        words = shlex.split(line)
        theirs = tools.start("-n", THEIRS, *words)  # both at once, each in its own namespace
        ours = tools.ours(*words)
        text = theirs.communicate(timeout=60)[0]
        same_code = bool(theirs.returncode) == bool(ours.code)
        if not same_code or not alike(line, text, ours.text):
            codes = f"{theirs.returncode} and {ours.code}"
            problems.append(f"$ {line}  {codes}\n--- kubectl\n{text}--- ours\n{ours.text}")
    assert not problems, f"{len(problems)}\n" + "\n".join(problems)


def alike(line: str, theirs: str, ours: str) -> bool:
    """Whether two outputs are the same; a sentence of ours may be the beginning of theirs."""
    if blanked(theirs) == blanked(ours):
        return True
    first = ours.splitlines()[0] if ours else "nothing"
    return first.startswith("error: ") and theirs.startswith(first)


def test_what_one_tool_has_applied_the_other_goes_on_with(tools: Tools, tmp_path: Path) -> None:
    """Fields that a file no longer has are removed, whichever tool applied them."""
    file = tmp_path / "shared.yaml"
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n"
    for tool, data in (
        ("kubectl", {"a": "1", "b": "1"}),
        ("ours", {"a": "2"}),
        ("kubectl", {"c": "3"}),
        ("ours", {}),
    ):
        file.write_text(f"{head}data: {json.dumps(data)}\n")
        line = ["apply", "-f", str(file)]
        text = tools.kubectl("-n", OURS, *line) if tool == "kubectl" else tools.ours(*line).text
        assert re.fullmatch(r"configmap/shared (created|configured)\n", text)
        assert (
            json.loads(tools.ours("get", "cm", "shared", "-o", "json").text).get("data", {}) == data
        )


def test_a_conflict_names_who_owns_the_field(tools: Tools) -> None:
    assert tools.ours("apply", "-f", "web.yaml").code == 0
    patch = '{"spec":{"replicas":7}}'
    tools.kubectl("-n", OURS, "patch", "deploy", "web", "-p", patch)
    refused = tools.ours("apply", "-f", "web.yaml")
    assert refused.code == 1
    assert re.search(r"Apply failed with 1 conflict.*kubectl-patch", refused.text, re.DOTALL)
    assert "--force-conflicts" in refused.text
    differs = tools.ours("diff", "-f", "web.yaml", "--force-conflicts")
    assert differs.code == 1
    assert re.search(r"^-  replicas: 7\n\+  replicas: \d+$", differs.text, re.MULTILINE)
    assert "configured" in tools.ours("apply", "-f", "web.yaml", "--force-conflicts").text
    assert tools.ours("diff", "-f", "web.yaml").text == ""
    assert "unchanged" in tools.ours("apply", "-f", "web.yaml").text
    assert tools.ours("delete", "-f", "web.yaml").code == 0


def test_a_node_is_drained(tools: Tools) -> None:
    tools.ours("run", "lone", "--image=example/lone")
    tools.ours("create", "deployment", "kept", "--image=example/kept")
    assert tools.ours("wait", "pod/lone", "--for=condition=Ready").code == 0
    assert tools.ours("rollout", "status", "deploy/kept").code == 0
    refused = tools.ours("drain", "node-0")
    assert refused.code == 1 and "declare no controller" in refused.text
    assert "already cordoned" in tools.ours("cordon", "node-0").text
    drained = tools.ours("drain", "node-0", "--force")
    assert drained.code == 0, drained.text
    assert drained.text.splitlines()[-1] == "node/node-0 drained"
    assert "pod/lone evicted" in drained.text
    assert "not found" in tools.ours("get", "pod", "lone").text
    assert tools.ours("uncordon", "node-0").text == "node/node-0 uncordoned\n"
    assert tools.ours("rollout", "status", "deploy/kept", "--timeout=30s").code == 0
    assert tools.ours("delete", "deploy", "kept").code == 0


def test_a_watch_prints_what_changes_below_one_header(tools: Tools) -> None:
    tools.ours("create", "configmap", "watched")
    shown = tools.ours("get", "cm", "watched", "-w", until="watched ")
    assert re.fullmatch(r"NAME +DATA +AGE\nwatched +0 +\d+s\n", shown.text)
    assert shown.code == 130


def test_waiting_ends_when_it_is_over(tools: Tools) -> None:
    tools.ours("create", "configmap", "going")
    late = tools.ours("wait", "cm/going", "--for=delete", "--timeout=0.1s")
    assert (late.code, late.text) == (
        1,
        "error: timed out waiting for the condition on configmaps/going\n",
    )
    assert tools.ours("delete", "cm", "going").text == 'configmap "going" deleted\n'
    assert tools.ours("wait", "cm/going", "--for=delete").code == 0


def test_files_of_a_kubeconfig_are_read_together(tools: Tools, tmp_path: Path) -> None:
    """One names the context, the other has it; what neither has is a sentence."""
    whole = Path(tools.config).read_text()
    first, second = tmp_path / "first", tmp_path / "second"
    context = re.search(r"current-context: (\S+)|\"current-context\": \"([^\"]+)", whole)
    assert context is not None
    first.write_text(f"current-context: {context[1] or context[2]}\n")
    second.write_text(re.sub(r'("?current-context"?: ")[^"]+', r"\1other", whole))
    missing = tmp_path / "missing"
    tools.config = f"{missing}:{first}:{second}"
    assert tools.ours("get", "nodes").code == 0
    refused = tools.ours("get", "nodes", "--context", "none")
    assert (refused.code, "no context named 'none'" in refused.text) == (1, True)


def test_an_object_is_edited_in_an_editor(tools: Tools, tmp_path: Path) -> None:
    tools.ours("create", "configmap", "edited", "--from-literal=a=old")
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/a: old/a: new/' \"$1\"\n")
    editor.chmod(0o755)
    tools.more["KUBE_EDITOR"] = str(editor)
    assert tools.ours("edit", "cm", "edited").text == "configmap/edited edited\n"
    assert tools.ours("get", "cm", "edited", "-o", "jsonpath={.data.a}").text == "new"
    assert "no changes made" in tools.ours("edit", "cm", "edited").text


def test_events_of_an_object(tools: Tools) -> None:
    tools.ours("create", "deployment", "busy", "--image=example/busy")
    assert tools.ours("rollout", "status", "deploy/busy").code == 0
    shown = tools.ours("events", "--for", "deployment/busy")
    assert re.search(r"Normal +ScalingReplicaSet +Deployment/busy +Scaled up", shown.text)
    described = tools.ours("describe", "deployment", "busy").text
    assert re.search(r"^Name: +busy\nNamespace: +our-space\nLabels: +app=busy$", described, re.M)
    assert re.search(r"^ +Normal +ScalingReplicaSet +\d+s +deployment-controller", described, re.M)
    assert tools.ours("delete", "deploy", "busy").code == 0


def test_what_files_do_not_name_is_not_touched(tools: Tools, tmp_path: Path) -> None:
    """An object without a name has the path of all objects; a selector chooses among the file's."""
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: "
    unnamed, several = tmp_path / "unnamed.yaml", tmp_path / "several.yaml"
    unnamed.write_text(f"{head}{{generateName: one-}}\n")
    several.write_text(
        f"{head}{{name: kept, labels: {{keep: 'yes'}}}}\n---\n{head}{{name: gone}}\n"
    )
    assert tools.ours("create", "-f", str(several)).code == 0
    assert tools.ours("create", "-f", str(unnamed)).code == 0
    for verb, code in {"delete": 1, "apply": 1, "diff": 2, "get": 1}.items():
        refused = tools.ours(verb, "-f", str(unnamed))
        assert refused.code == code and "a ConfigMap has no metadata.name" in refused.text, verb
    names = tools.ours("get", "cm", "-o", "name").text
    assert names.count("configmap/one-") == 1 and "configmap/kept\n" in names
    lines = tools.ours("delete", "-f", str(several), "-l", "keep!=yes").text
    assert lines == 'configmap "gone" deleted\n'
    assert tools.ours("delete", "-f", str(several), "--field-selector", "a=b").code == 2
    assert tools.ours("get", "cm", "kept").code == 0
    assert tools.ours("diff", "-f", "web.yaml", "-n", "no-such-space").code == 2
    assert tools.ours("delete", "cm", "--all").code == 0
