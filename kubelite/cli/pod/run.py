"""``pod run``: the shortest way to one container."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Argument, Document, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.attach import attach as attach_to
from kubelite.cli.pod.exec import STDIN, TTY, with_terminal
from kubelite.cli.pod.logs import logs
from kubelite.cli.pod.up import process_start, show_result, up_one

if TYPE_CHECKING:
    from kubelite.cli.pod_row import Doc
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.objects.pod.pod import Pod

_RESTART_POLICIES = ("Always", "OnFailure", "Never")


def restart_policy(text: str) -> str:
    """One of Kubernetes' restart policies. Raises ValueError."""
    if text not in _RESTART_POLICIES:
        raise ValueError(f"{text!r} is not one of {', '.join(_RESTART_POLICIES)}")
    return text


@usage(
    "kubelite pod run --rm -it host -- sh",
    "kubelite pod run web:1 --name web --port 8080",
    "kubelite pod run web:1 --name web --dry-run > web.yaml",
    notes="The pod is named after the image unless --name is given. With -i, -t or --rm the command"
    " stays with the container and returns its exit code.",
)
def run(
    settings: Settings,
    image: Annotated[str, Argument("IMAGE", "Image; host is this machine.", completes="image")],
    command: Annotated[
        list[str] | None, Argument("[-- COMMAND]", "Program and its arguments.")
    ] = None,
    *,
    name: Annotated[str | None, Option("--name", "Name of the pod.", "NAME")] = None,
    env: Annotated[
        list[str] | None, Option("--env -e", "Environment variable; may be repeated.", "NAME=VALUE")
    ] = None,
    labels: Annotated[
        list[str] | None, Option("--labels -l", "Labels; may be repeated.", "KEY=VALUE,...")
    ] = None,
    port: Annotated[
        list[int] | None,
        Option("--port", "Port of the container; may be repeated.", minimum=1, maximum=65535),
    ] = None,
    restart: Annotated[
        str,
        Option("--restart", "Always, OnFailure or Never.", "POLICY", parser=restart_policy),
    ] = "Never",
    remove: Annotated[bool, Option("--rm", "Remove the pod once it has ended.")] = False,
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[bool, TTY] = False,
    dry_run: Annotated[bool, Option("--dry-run", "Only print the manifest.")] = False,
) -> int:
    """Creates a pod of one container. Raises CliError for what is not valid."""
    start = process_start()
    screen = Screen(settings)
    attached = stdin or tty or remove
    tty = with_terminal(screen, stdin, tty)
    _refuse_bytes([image, name or "", *(command or []), *(env or []), *(labels or [])])
    document = manifest_of(
        name or default_name(image), image, command or [], env or [], labels or [], port or []
    )
    document["spec"]["restartPolicy"] = restart
    container = document["spec"]["containers"][0]
    container |= {"stdin": True, "stdinOnce": True} if stdin else {}
    container |= {"tty": True} if tty else {}
    if dry_run:
        screen.data(output.document(document, Document.yaml))
        return 0
    pod = _checked(settings, document)
    pods = open_pods(settings, screen)
    _refuse_existing(pods, pod)
    result = up_one(Screen(settings._replace(quiet=settings.quiet or attached)), pods, pod)
    pod_name = pod.metadata.name or ""
    if not attached:
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - start
        show_result(settings, screen, result, as_document(result.pod), seconds, True)
        return 0
    try:
        return _stay(settings, pods, pod, stdin=stdin)
    finally:
        if remove:
            pods.down(pod.metadata.namespace or "default", pod_name, grace=0, report=lambda _: None)


def default_name(image: str) -> str:
    """A pod's name made of an image's: ``docker.io/library/nginx:1.29`` gives ``nginx``."""
    base = image.rpartition("/")[2].partition("@")[0].partition(":")[0].lower()
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in base).strip("-")
    return name[:63] or "pod"


def manifest_of(
    name: str,
    image: str,
    command: list[str],
    env: list[str],
    labels: list[str],
    ports: list[int],
) -> Doc:
    """The manifest of a pod with one container. Raises CliError for a malformed pair."""
    container: Doc = {"name": name, "image": image}
    if command:
        container["command"] = command
    if env:
        container["env"] = [
            {"name": key, "value": value}
            for key, value in (key_value(text, "--env") for text in env)
        ]
    if ports:
        container["ports"] = [{"containerPort": port} for port in ports]
    pairs = [key_value(text, "--labels") for group in labels for text in group.split(",") if text]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(pairs) or {"run": name}},
        "spec": {"containers": [container]},
    }


def key_value(text: str, option: str) -> tuple[str, str]:
    """What KEY=VALUE says. Raises CliError, which names the option."""
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise CliError(Diagnostic(f"{option} {text}: expected KEY=VALUE", exit_code=2))
    return key, value


def _refuse_bytes(words: list[str]) -> None:
    """A manifest is text. Raises CliError for a word of the command line that is not UTF-8."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise CliError(Diagnostic(f"{word!a} is not UTF-8", exit_code=2)) from None


def _checked(settings: Settings, document: Doc) -> Pod:
    """The pod as a manifest's: with all checks and defaults. Raises CliError."""
    from kubelite.cli.common.manifest import limited
    from kubelite.cli.review import review
    from kubelite.lib.manifest_yaml import documents

    text = output.document(document, Document.json)
    reviewed = review(documents(text), "--dry-run", namespace=settings.namespace)
    if reviewed.errors:
        # There is no file in which a line could be shown.
        raise CliError(*limited([error._replace(place="") for error in reviewed.errors]))
    return reviewed.pods[0]


def _refuse_existing(pods: Pods, pod: Pod) -> None:
    from kubelite.node.runtime.errors import NotFound

    name = pod.metadata.name or ""
    try:
        pods.queries.get(pod.metadata.namespace or "default", name)
    except NotFound:
        return
    hint = f"choose another with --name, or remove it: `kubelite pod down {name}`"
    raise CliError(Diagnostic(f'pod "{name}" already exists', hint=hint))


def _stay(settings: Settings, pods: Pods, pod: Pod, *, stdin: bool) -> int:
    """Shows the container's output until it ends, with our input if wanted; its exit code."""
    from kubelite.node.runtime.errors import NotRunning

    name, namespace = pod.metadata.name or "", pod.metadata.namespace or "default"
    quiet = settings._replace(quiet=True, namespace=namespace)
    if stdin:
        try:
            return attach_to(quiet, name, stdin=True)
        except NotRunning:
            pass  # it has ended already: its output is in the log
    logs(quiet, [name], follow=True)
    return pods.queries.exit_code(pods.queries.get(namespace, name))
