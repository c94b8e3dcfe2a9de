"""What each code at the end of an error means, and what to do about it. Pure."""

from __future__ import annotations

from typing import NamedTuple

UNREADABLE = "KL101"
NOT_YAML = "KL102"
EMPTY = "KL103"
UNKNOWN_FIELD = "KL104"
WRONG_TYPE = "KL105"
BAD_QUANTITY = "KL106"
REQUIRED = "KL107"
INVALID = "KL108"
BAD_NAME = "KL109"
DUPLICATE = "KL110"
NOT_FOUND = "KL111"
UNSUPPORTED_KIND = "KL112"
UNSUPPORTED_FIELD = "KL113"
NO_EFFECT = "KL114"
OTHER_NAMESPACE = "KL115"
URL = "KL116"
NEEDS_CLUSTER = "KL117"
KUSTOMIZATION = "KL118"


class Code(NamedTuple):
    """A code: its title in one line, what it means, what to do."""

    title: str
    meaning: str
    remedy: str


CODES: dict[str, Code] = {
    UNREADABLE: Code(
        "the manifest cannot be read",
        "The file does not exist, is a directory, is not readable by you, or is larger than a"
        " manifest may be.",
        "Check the path. A dash (-) instead of the file reads the manifest from standard input.",
    ),
    NOT_YAML: Code(
        "the manifest is not YAML",
        "The text cannot be parsed as YAML or JSON. YAML does not allow tabs for indentation;"
        " values that begin with one of @ ` % & * ! or contain ': ' need quotes; a key may appear"
        " only once in a mapping. kubelite reads YAML as kubectl does.",
        "Look at the line and column of the error, and at the line before it.",
    ),
    EMPTY: Code(
        "the manifest contains no Pod",
        "The file has no document, only empty ones, or none that is a Pod.",
        "A manifest begins with apiVersion: v1 and kind: Pod. Separate several in one file by a"
        " line ---.",
    ),
    UNKNOWN_FIELD: Code(
        "unknown field",
        "Kubernetes has no field of this name here. Field names are case-sensitive: containerPort,"
        " not containerport. Most often a name is misspelled, or the line is indented too far or"
        " not far enough.",
        "Follow the hint, or compare the indentation with the lines around it.",
    ),
    WRONG_TYPE: Code(
        "wrong type",
        "A value has another type than its field: a number instead of a string, or an object"
        " instead of a list. In YAML yes, no, on, off and true are booleans and 8080 is a number;"
        ' quoted they are strings: "yes", "8080".',
        "Values of labels, annotations and environment variables are strings: quote numbers and"
        " booleans.",
    ),
    BAD_QUANTITY: Code(
        "invalid quantity",
        "An amount of CPU, memory or storage is a number with at most one suffix: n u m, k M G T P"
        " E (powers of 1000), Ki Mi Gi Ti Pi Ei (powers of 1024), or an exponent as in 1e3.",
        "Write 500m for half a CPU and 512Mi for memory. MB and GB are not suffixes, and m means"
        " one thousandth.",
    ),
    REQUIRED: Code(
        "required value missing",
        "Kubernetes does not accept the object without this field.",
        "Add the field at the place shown, or below it.",
    ),
    INVALID: Code(
        "invalid value",
        "The value has the right type but is not allowed here. The rule is that of the Kubernetes"
        " API.",
        "The error states the rule or the supported values.",
    ),
    BAD_NAME: Code(
        "invalid name",
        "Names of objects, containers, volumes and ports follow the rules of DNS: lowercase"
        " letters, digits and dashes, beginning and ending with a letter or digit, at most 63"
        " characters (253 for pods, which may contain dots; 15 for ports).",
        "Use the name in the hint, or another that follows the rule.",
    ),
    DUPLICATE: Code(
        "duplicate value",
        "Two things that must differ have the same name or port: containers and init containers of"
        " a pod share one set of names, volumes have another, and a port of the machine can belong"
        " to one container only.",
        "Rename one of them.",
    ),
    NOT_FOUND: Code(
        "not found",
        "A name refers to something that is not there: most often a volumeMount whose volume is not"
        " defined, or a ConfigMap or Secret that none of the manifests holds.",
        "Add the volume to spec.volumes, put the ConfigMap or Secret into the manifest, or correct"
        " the name. A reference with optional: true may lead nowhere.",
    ),
    UNSUPPORTED_KIND: Code(
        "unknown kind",
        "The group is one of Kubernetes' own, but has no such kind in this version.",
        "Correct the kind, or use --lenient to run the pods of the file without it.",
    ),
    NEEDS_CLUSTER: Code(
        "kind needs a cluster",
        "`kubelite pod` runs Pods, the pods of Deployments, ReplicaSets, ReplicationControllers,"
        " StatefulSets, DaemonSets, Jobs and CronJobs, and holds the ConfigMaps, Secrets and"
        " PersistentVolumeClaims that they refer to. Other kinds need an API server and"
        " controllers, and custom ones their definition. Pods that stand beside them run.",
        "`kubelite up` starts a cluster on this machine; `kubelite apply -f` takes the whole file.",
    ),
    UNSUPPORTED_FIELD: Code(
        "field not supported",
        "The field is valid, but this version of kubelite cannot do what it requests, and running"
        " the pod without it could be wrong. kubelite never ignores a field silently.",
        "Remove the field, or ignore it with --lenient; `kubelite pod check` lists all such"
        " fields.",
    ),
    NO_EFFECT: Code(
        "field without effect",
        "The field is accepted but has no effect on a single machine, as fields for the scheduler.",
        "Nothing needs to be done.",
    ),
    OTHER_NAMESPACE: Code(
        "namespace mismatch",
        "The manifest names one namespace and the command line another.",
        "Omit --namespace, or use the manifest's.",
    ),
    URL: Code(
        "the manifest cannot be downloaded",
        "The server of the URL does not answer, or does not have the manifest.",
        "Check the URL in a browser; behind a proxy set https_proxy.",
    ),
    KUSTOMIZATION: Code(
        "the kustomization cannot be built",
        "kubelite has `kubectl kustomize` build the directory that is given with -k. What kubectl"
        " says stands in the error.",
        "Try `kubectl kustomize DIR`, and read its kustomization.yaml.",
    ),
}


def explained(code: str) -> str | None:
    """The page about a code, in any case and with or without KL; None if it does not exist."""
    key = code.upper() if code.upper().startswith("KL") else f"KL{code}"
    entry = CODES.get(key)
    if entry is None:
        return None
    return f"{key}: {entry.title}\n\n{_wrapped(entry.meaning)}\n\n{_wrapped(entry.remedy)}\n"


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 80, break_on_hyphens=False, break_long_words=False)
