"""What each code at the end of an error means, and what to do about it. Pure."""

from __future__ import annotations

from typing import NamedTuple

UNREADABLE = "KL101"
NOT_YAML = "KL102"
EMPTY = "KL103"
OTHER_NAMESPACE = "KL115"
URL = "KL116"


class Code(NamedTuple):
    """A code: one line that names it, what it means, what helps."""

    title: str
    meaning: str
    remedy: str


CODES: dict[str, Code] = {
    UNREADABLE: Code(
        "the manifest cannot be read",
        "The file is not there, is a directory, may not be read by you, or is larger than a manifest can be.",
        "Check the path. A dash (-) in place of the file reads the manifest from standard input.",
    ),
    NOT_YAML: Code(
        "the manifest is not YAML",
        "The text cannot be read as YAML or JSON. Tabs do not indent in YAML; a text that begins with one of @ ` % & * ! or"
        " has ': ' inside needs quotes; a key may stand only once in a mapping. kubelite reads YAML as kubectl does.",
        "Look at the line and column of the error, and at the line before it.",
    ),
    EMPTY: Code(
        "there is nothing in the manifest",
        "The file has no document, only empty ones, or none that is a Pod.",
        "A manifest begins with apiVersion: v1 and kind: Pod. Several stand in one file with a line --- between them.",
    ),
    "KL104": Code(
        "unknown field",
        "Kubernetes has no field of this name at this place. Names of fields count capitals: containerPort, not"
        " containerport. Most often a name is misspelt, or the line is indented too far or not far enough.",
        "Follow the hint, or compare the indentation with the lines around it.",
    ),
    "KL105": Code(
        "wrong type",
        "A value is of another type than its field: a number where a text belongs, one object where a list belongs. In YAML"
        ' yes, no, on, off and true are booleans and 8080 is a number; in quotes they are texts: "yes", "8080".',
        "Values of labels, annotations and environment variables are texts: put numbers and booleans in quotes.",
    ),
    "KL106": Code(
        "not a quantity",
        "An amount of CPU, memory or storage is a number with at most one suffix: n u m, k M G T P E (powers of 1000),"
        " Ki Mi Gi Ti Pi Ei (powers of 1024), or an exponent as in 1e3.",
        "Write 500m for half a CPU and 512Mi for memory. MB and GB are not suffixes, and m is a thousandth.",
    ),
    "KL107": Code(
        "a required value is missing",
        "Kubernetes does not accept the object without this field.",
        "Add the field at the place shown, or below it.",
    ),
    "KL108": Code(
        "invalid value",
        "The value is of the right type and still not allowed here. The rule is that of the Kubernetes API.",
        "The error names the rule or the values that are supported.",
    ),
    "KL109": Code(
        "bad name",
        "Names of objects, containers, volumes and ports follow the rules of DNS: lower-case letters, digits and dashes,"
        " beginning and ending with a letter or digit, at most 63 characters (253 for pods, which may have dots; 15 for ports).",
        "Use the name in the hint, or another that follows the rule.",
    ),
    "KL110": Code(
        "duplicate value",
        "Two things that must differ have the same name or port: containers and init containers of a pod share one set of"
        " names, volumes have another, and a port of the machine belongs to one container only.",
        "Rename one of them.",
    ),
    "KL111": Code(
        "not found",
        "A name refers to something that the pod does not have: most often a volume mount to a volume.",
        "Add it to spec.volumes, or correct the name.",
    ),
    "KL112": Code(
        "kind not supported",
        "This version of kubelite runs Pods. Other kinds of objects need controllers and an API server.",
        "Make a Pod of the template in a Deployment, Job or StatefulSet (spec.template), or use --lenient to run the Pods of"
        " a file that has other kinds too.",
    ),
    "KL113": Code(
        "field not supported",
        "The field is a good one, but this version of kubelite cannot do what it asks for, and running the pod as if it were"
        " not there could be wrong. Nothing is ever dropped in silence.",
        "Remove the field, or accept with --lenient that it is left out; kubelite pod check shows all such fields.",
    ),
    "KL114": Code(
        "field without effect",
        "The field is accepted and nothing follows from it on a single machine, as with fields for the scheduler.",
        "Nothing needs to be done.",
    ),
    OTHER_NAMESPACE: Code(
        "another namespace",
        "The manifest names a namespace and the command line another.",
        "Leave --namespace out, or name the one of the manifest.",
    ),
    URL: Code(
        "manifests are not fetched",
        "kubelite reads manifests from files and from standard input, not from the network.",
        "Fetch it first and look at it: curl -fsSL URL | kubelite pod up -",
    ),
}


def explained(code: str) -> str | None:
    """The page about a code, in any case and with or without its letters; None for one that does
    not exist.
    """
    key = code.upper() if code.upper().startswith("KL") else f"KL{code}"
    found = CODES.get(key)
    if found is None:
        return None
    return f"{key}: {found.title}\n\n{_wrapped(found.meaning)}\n\n{_wrapped(found.remedy)}\n"


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 80, break_on_hyphens=False, break_long_words=False)
