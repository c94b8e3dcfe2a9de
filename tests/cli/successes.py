"""For each verb a command line that succeeds, and what it shows: those that need this machine
alone, a registry or a cluster. ``{registry}``, ``{api_port}``, ``{kubelet_port}``, ``{config}`` and
``{sh}`` stand for what a test has started or found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from tests.cli.terminal import Style, Transcript, run


class Success(NamedTuple):
    """A command line and the pattern that its output has. One that would go on gets Ctrl-C once
    ``until`` is shown; ``typed`` is its stdin. Commands that compare have a ``code`` for findings.
    """

    verb: str
    words: str
    shows: str
    until: str = ""
    typed: bytes = b""
    code: int = 0


LOCAL = [
    Success("pod up", "web.yaml", r"web is up|already up"),
    Success("pod ls", "", r"\ANAME +READY +STATUS +RESTARTS +AGE\s+web +1/1 +Running"),
    Success("pod ls", "-o wide", r"host"),
    Success("pod describe", "web", r"Name: +web"),
    Success("pod inspect", "web", r'"containers"'),
    Success("pod check", "web.yaml", r"web\.yaml: 1 pod, clean"),
    Success("pod update", "web --env A=b --dry-run", r"would be updated in place"),
    Success("pod logs", "web", r"hello"),
    Success("pod exec", "web -- echo inside", r"inside"),
    Success("pod debug", "web -- echo beside", r"beside"),
    Success("pod diff", "web", r"^$"),
    Success("pod cp", "web.yaml web:/copied.yaml", r""),
    Success("pod diff", "web", r"^A /copied\.yaml$", code=1),
    Success("pod wait", "web", r"pod/web is ready"),
    Success("pod events", "web", r"Started container server"),
    Success("pod top", "web", r"sleep 600"),
    Success("pod stats", "web --no-stream", r"web +server"),
    Success("pod pause", "web", r"web paused"),
    Success("pod unpause", "web", r"web unpaused"),
    Success("pod stop", "web --grace-period 0", r"web stopped"),
    Success("pod start", "web", r"web started"),
    Success("pod restart", "web --grace-period 0", r"web restarted"),
    Success("pod kill", "web -s CONT", r"web signaled"),
    Success("network ls", "", r"kubelite +bridge +kl-[0-9a-f]{8} +10\.2\d\d\.\d+\.0/24 +\d+ +1 +0"),
    Success("network inspect", "", r'"name": "web"'),
    Success("system df", "", r"Pods +1 +1"),
    Success("system check", "", r"pods and images are whole"),
    Success("pod prune", "", r"nothing to do"),
    Success("pod down", "web", r"web is down"),
    Success("pod run", "--rm host --name once -- echo once", r"once"),
    Success("pod up", "reads.yaml", r"reads is up"),
    Success("pod attach", "-i reads", r"read: a line", typed=b"a line\n"),
    Success("pod down", "reads", r"reads is down"),
    Success("image import", "small rootfs", r"imported .*small"),
    Success("image tag", "small other", r"tagged .*other"),
    Success("image ls", "", r"small"),
    Success("image inspect", "small", r'"names"'),
    Success("image build", "-t made .", r"built .*made"),
    Success("image history", "made", r"COPY web\.yaml"),
    Success("image diff", "made", r"^A /web\.yaml$", code=1),
    Success("image mount", "made mounted", r"mounted .*made:latest on mounted"),
    Success("image unmount", "mounted", r"unmounted mounted"),
    Success("image bundle", "-f small.yaml -o bundle.tar", r"saved small"),
    Success("pod run", "--name kept small -- {sh} -c :>/new", r"kept"),
    Success("pod wait", "kept --for exited", r"has exited with code 0"),
    Success("image commit", "kept kept", r"committed|kept:latest"),
    Success("pod down", "kept", r"kept is down"),
    Success("image save", "small -o small.tar", r"saved small"),
    Success("image rm", "small other", r"removed .*other"),
    Success("image load", "small.tar", r"loaded .*small"),
    Success("image rm", "small made kept", r"removed .*freed"),
    Success("image prune", "", r"nothing to do|freed"),
    Success("scheduler explain", "--cluster node.yaml --pod web.yaml", r"runs on n1"),
    Success("scheduler simulate", "--cluster node.yaml --pods web.yaml", r"1 scheduled"),
    Success("system info", "", r"cgroups"),
    Success("system agent", "", r"^$"),
    Success("completion", "bash", r"_kubelite"),
    Success("explain", "KL104", r"unknown field"),
    Success("version", "", r"kubelite \d"),
    Success("system reset", "--yes", r"nothing left"),
]
OF_A_REGISTRY = [
    Success("image import", "{registry}/web:1 rootfs", r"imported .*web:1"),
    Success("image push", "{registry}/web:1", r"pushed .*web:1"),
    Success("image rm", "{registry}/web:1", r"freed"),
    Success("image pull", "{registry}/web:1", r"pulled .*web:1"),
]
OF_A_CLUSTER = [
    Success("up", "--port {api_port} --kubelet-port {kubelet_port} --no-ingress", r"node +Ready"),
    Success("status", "", r"1 of 1 ready"),
    Success("kubeconfig", "", r"current-context: kubelite"),
    Success("get", "nodes", r"NAME +STATUS +ROLES +AGE +VERSION"),
    Success("describe", "namespace default", r"Name: +default"),
    Success("api-resources", "", r"deployments +deploy +apps/v1 +true +Deployment"),
    Success("token create", "", r"kubelite node join --server https://127"),
    Success(
        "controllers",
        "--kubeconfig {config} --no-leader-elect",
        r"running \d+ controllers",
        until=r"running \d+ controllers",
    ),
    Success(
        "scheduler run",
        "--kubeconfig {config} --no-leader-elect",
        r"scheduling pods",
        until=r"scheduling pods",
    ),
    Success("ui", "--kubeconfig {config} --no-browser", r"Ctrl-C ends it", until=r"#token=\S+\s"),
    Success(
        "server",
        "--port 0 --data-dir data --no-node --no-scheduler --controllers=-*",
        r"ready at https://.*\s+shutting down",
        until=r"ready at \S+",
    ),
    Success("down", "", r"processes +ended"),
]
COMPARED = (
    "apply",
    "delete",
    "create",
    "scale",
    "rollout status",
    "rollout history",
    "rollout undo",
    "rollout restart",
    "rollout pause",
    "rollout resume",
    "wait",
    "label",
    "annotate",
    "expose",
    "set image",
    "set env",
    "set resources",
    "set serviceaccount",
    "patch",
    "edit",
    "events",
    "drain",
    "diff",
    "cordon",
    "uncordon",
    "auth can-i",
    "auth whoami",
)
"""Verbs of a cluster that need no pods, tested beside kubectl."""
WITH_PODS = (
    "logs",
    "exec",
    "port-forward",
    "run",
    "top",
    "cp",
    "attach",
)
"""Those that need pods that run."""
ELSEWHERE = {
    "image copy": ("needs a podman that serves", "tests/e2e/test_image_copy.py"),
    "node run": ("`up` starts it; two share no network", "tests/cluster/test_cluster_kills.py"),
    "node join": ("needs a second machine's network", "tests/cluster/test_cluster_nodes.py"),
    **dict.fromkeys(COMPARED, ("beside kubectl", "tests/kubectl/test_kubectl_own_verbs.py")),
    **dict.fromkeys(WITH_PODS, ("needs pods", "tests/cluster/test_cluster_own_verbs.py")),
}
"""Verbs whose success no transcript shows: why, and the test that has it."""


IN_THE_C_LOCALE = (
    "pod up",
    "pod ls",
    "pod describe",
    "pod logs",
    "pod events",
    "pod down",
    "explain",
    "up",
    "status",
    "down",
)
"""Where Python starts for each command line: those that print most. Other styles show all."""


def shown_in(style: Style, successes: list[Success]) -> list[Success]:
    """All of them; the first of each verb that prints most where Python starts for each."""
    if not style.starts_python:
        return successes
    first: dict[str, Success] = {}
    for success in successes:
        first.setdefault(success.verb, success)
    return [success for verb, success in first.items() if verb in IN_THE_C_LOCALE]


def succeed(
    style: Style, successes: list[Success], root: str, cwd: str, **names: str
) -> list[Transcript]:
    """Runs command lines one after the other and returns what each showed. Raises AssertionError
    where one fails or shows something else.
    """
    return [_succeed(style, success, root, cwd, names) for success in shown_in(style, successes)]


def _succeed(
    style: Style, success: Success, root: str, cwd: str, names: Mapping[str, str]
) -> Transcript:
    line = [*success.verb.split(), *success.words.format(**names).split()]
    shown = run(style, line, root=root, cwd=cwd, until=success.until, input=success.typed)
    assert shown.code == success.code, f"{line}: {shown.code}\n{shown.text}"
    plain = re.sub(r"\x1b\[[0-9;]*[mKHJ]|\r", "", shown.text)
    assert re.search(success.shows, plain, re.MULTILINE), f"{line}\n{plain}"
    return shown
