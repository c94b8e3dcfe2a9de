"""Command lines that people type from habit: docker's, podman's, and kubectl's for pods. Pure.

They lead to the command that does the same here, or to one sentence that says what does. kubectl's
own verbs are commands, for a cluster; behind ``pod``, and where there is no cluster, they are for
the pods of this machine.
"""

from __future__ import annotations

from kubelite.cli.common.diagnostic import CliError, Diagnostic

_POD_VERBS = frozenset(
    "debug stats inspect start stop restart kill pause unpause prune update check".split()
)
_POD_SYNONYMS = {
    "list": "ls",
    "get": "ls",
    "rm": "down",
    "remove": "down",
    "delete": "down",
    "create": "up",
    "apply": "up",
    "replace": "up",
    "play": "up",
    "show": "inspect",
    "log": "logs",
    "validate": "check",
    "lint": "check",
}
_IMAGE_SYNONYMS = {"list": "ls", "get": "ls", "remove": "rm", "delete": "rm", "show": "inspect"}
_TOP_LEVEL = {
    "ps": ["pod", "ls"],
    "ls": ["pod", "ls"],
    "rm": ["pod", "down"],
    "images": ["image", "ls"],
    "rmi": ["image", "rm"],
    "load": ["image", "load"],
    "import": ["image", "import"],
    "pull": ["image", "pull"],
    "save": ["image", "save"],
    "tag": ["image", "tag"],
    "push": ["image", "push"],
    "build": ["image", "build"],
    "commit": ["image", "commit"],
    "history": ["image", "history"],
    "info": ["system", "info"],
    "reset": ["system", "reset"],
    "agent": ["system", "agent"],
    "help": ["--help"],
}
_OF_PODS = frozenset("logs exec attach cp wait events top diff run".split())
_OF_FILES = frozenset("apply create delete describe".split())
_WITH_KIND = frozenset("get describe delete".split())
_POD_WORDS = frozenset(("pod", "pods", "po", "container", "containers"))
_IMAGE_WORDS = frozenset(("image", "images"))
_ANSWERS = {
    "compose": ("kubelite runs Kubernetes manifests", "convert with `kompose convert`"),
    "port-forward": (
        "not needed on this machine: each pod has an address that is reachable from here",
        "`kubelite pod ls -o wide` shows it",
    ),
    "scale": (
        "a Pod has no replicas",
        "change `replicas` in the file, then `kubelite pod up FILE`; in a cluster `kubelite scale`",
    ),
    "rollout": ("a Pod has no rollouts", "`kubelite pod restart NAME` restarts its containers"),
    "edit": (
        "pods are changed by their manifest",
        "edit the file, then `kubelite pod up FILE`; or `kubelite pod update NAME --memory 256Mi`",
    ),
    "login": (
        "logins are those of docker and podman",
        "`docker login` and `podman login` write them; `kubelite image push -h` names the files",
    ),
    "volume": (
        "volumes come and go with what asks for them",
        "a PersistentVolumeClaim beside the pods outlives them; `kubelite pod down --volumes FILE`",
    ),
    "network": (
        "all pods of this machine share one network",
        "`kubelite pod ls -o wide` shows their addresses",
    ),
    "generate": (
        "a pod's manifest is kept with it",
        "`kubelite pod ls NAME -o yaml`; of a command line: `kubelite pod run IMAGE --dry-run`",
    ),
    "config": (
        "a kubeconfig is changed by hand or by kubectl",
        "`kubelite kubeconfig --merge` adds a cluster; --context NAME chooses one",
    ),
    "cluster-info": ("`kubelite status` shows what runs", "`kubelite get nodes` asks the cluster"),
}
_OF_A_CLUSTER = {
    "up": ("`kubelite up` starts a cluster", "the pods of a manifest: `kubelite pod up {}`"),
    "down": ("`kubelite down` ends a cluster", "one pod: `kubelite pod down {}`"),
}


def translate(rest: list[str]) -> list[str] | None:
    """The same command line in kubelite's words; None if there is none.

    Raises CliError where the answer is a sentence.
    """
    if not rest:
        return None
    first, others = rest[0], rest[1:]
    if first in _OF_A_CLUSTER:
        _refuse_names(first, others)
        return None
    if first in ("ps", "images"):  # docker's and podman's -a: nothing is hidden here
        others = [word for word in others if word not in ("-a", "--all")]
    if first in ("pod", "image") and others:
        synonyms = _POD_SYNONYMS if first == "pod" else _IMAGE_SYNONYMS
        verb = synonyms.get(others[0])
        if verb is not None:
            return [first, verb, *others[1:]]
        _answer(others[0])
        return None
    if first in ("pods", "images"):
        return [first.removesuffix("s"), *(others or ["ls"])]
    _answer(first)
    if first == "list" and others and not others[0].startswith("-"):
        return _with_kind(others)
    if first in _TOP_LEVEL:
        return [*_TOP_LEVEL[first], *others]
    if first in _POD_SYNONYMS or first in _POD_VERBS:
        return ["pod", _POD_SYNONYMS.get(first, first), *others]
    return None


def without_cluster(rest: list[str]) -> list[str] | None:
    """What a verb of kubectl's means for the pods of this machine; None where it needs a cluster,
    or the command line says which.
    """
    first, others = rest[0], rest[1:]
    options = others[: others.index("--")] if "--" in others else others
    if any(word.partition("=")[0] in ("--kubeconfig", "--context") for word in options):
        return None
    if first in _OF_PODS or (first in _OF_FILES and others[:1] in (["-f"], ["--filename"])):
        return ["pod", _POD_SYNONYMS.get(first, first), *others]
    if first not in _WITH_KIND or not others:
        return None
    kind, slash, name = others[0].partition("/")
    arguments = [name, *others[1:]] if slash else others[1:]
    if kind.lower() in _POD_WORDS:
        return ["pod", _POD_SYNONYMS.get(first, first), *arguments]
    if kind.lower() in _IMAGE_WORDS:
        return ["image", _IMAGE_SYNONYMS.get(first, "inspect"), *arguments]
    is_name = first != "get" and len(others) == 1 and not slash and not kind.startswith("-")
    return ["pod", _POD_SYNONYMS.get(first, first), kind] if is_name else None


def _refuse_names(verb: str, others: list[str]) -> None:
    """A cluster has no manifest and is no pod: who names one means another command."""
    words = [word for word in others if word not in ("-f", "--filename")]
    if words and not words[0].startswith("-"):
        message, hint = _OF_A_CLUSTER[verb]
        raise CliError(Diagnostic(message, hint=hint.format(" ".join(words)), exit_code=2))


def _with_kind(others: list[str]) -> list[str]:
    """``list pods web``, ``list images``: of this machine; `get` is for those of a cluster."""
    kind, slash, name = others[0].partition("/")
    arguments = [name, *others[1:]] if slash else others[1:]
    if kind.lower() in _POD_WORDS:
        return ["pod", "ls", *arguments]
    if kind.lower() in _IMAGE_WORDS:
        return ["image", "ls", *arguments]
    raise CliError(
        Diagnostic(
            f"`kubelite list` knows pods and images of this machine, not {others[0]}",
            hint=f"objects of a cluster: `kubelite get {others[0]}`",
            exit_code=2,
        )
    )


def _answer(word: str) -> None:
    if word in _ANSWERS:
        message, hint = _ANSWERS[word]
        raise CliError(Diagnostic(message, hint=hint, exit_code=2))
