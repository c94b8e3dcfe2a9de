"""Writes kubelite/objects/facts/protobuf_table.py from the ``generated.proto`` and ``types.go`` files
that Debian packages publish.

    apt-get install golang-k8s-api-dev golang-k8s-apimachinery-dev golang-k8s-metrics-dev
    (trixie and later) python scripts/make_protobuf.py [--check] [FOLDER]        FOLDER holds
    k8s.io/, default /usr/share/gocode/src; see scripts/debian

Numbers and types come from the .proto files; JSON names, order, pointers and what is written when
it is zero from the structs' tags. The grammar of a line is described in kubelite/objects/facts/schema.py,
which reads it.
"""

# ruff: noqa: E501

from __future__ import annotations

import glob
import os
import re
import sys
from typing import NamedTuple

TARGET = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
    "kubelite/objects/facts/protobuf_table.py",
)
FOLDER = "/usr/share/gocode/src"
SOURCES = (
    "k8s.io/api/*/v1", "k8s.io/api/autoscaling/v2", "k8s.io/api/apidiscovery/v2", "k8s.io/apimachinery/pkg/apis/meta/v1",
    "k8s.io/apimachinery/pkg/runtime", "k8s.io/apimachinery/pkg/api/resource", "k8s.io/apimachinery/pkg/util/intstr",
    "k8s.io/metrics/pkg/apis/metrics/v1beta1",
)  # fmt: skip
UNUSED = ("apidiscovery", "admission", "imagepolicy")
SCALARS = {
    "string": "s",
    "bool": "b",
    "int32": "i",
    "int64": "l",
    "double": "d",
    "bytes": "y",
    "uint32": "i",
    "uint64": "l",
}
# Written without a package to read them from: apiextensions and the aggregator publish their
# structs elsewhere.
ELSEWHERE = """\
apiextensions.v1.CustomResourceDefinition metadata=1meta.v1.ObjectMeta! spec=2apiextensions.v1.CustomResourceDefinitionSpec! status=3apiextensions.v1.CustomResourceDefinitionStatus!
apiextensions.v1.CustomResourceDefinitionSpec group=1s! names=3apiextensions.v1.CustomResourceDefinitionNames! scope=4s! versions=7[apiextensions.v1.CustomResourceDefinitionVersion! conversion=9apiextensions.v1.CustomResourceConversion* preserveUnknownFields=10b
apiextensions.v1.CustomResourceDefinitionNames plural=1s! singular=2s shortNames=3[s kind=4s! listKind=5s categories=6[s
apiextensions.v1.CustomResourceDefinitionVersion name=1s! served=2b! storage=3b! deprecated=7b deprecationWarning=8s* schema=4apiextensions.v1.CustomResourceValidation* subresources=5apiextensions.v1.CustomResourceSubresources* additionalPrinterColumns=6[apiextensions.v1.CustomResourceColumnDefinition selectableFields=9[apiextensions.v1.SelectableField
apiextensions.v1.CustomResourceDefinitionStatus conditions=1[apiextensions.v1.CustomResourceDefinitionCondition! acceptedNames=2apiextensions.v1.CustomResourceDefinitionNames! storedVersions=3[s! observedGeneration=4l
apiextensions.v1.CustomResourceDefinitionCondition type=1s! status=2s! observedGeneration=6l lastTransitionTime=3meta.v1.Time reason=4s message=5s
apiextensions.v1.CustomResourceColumnDefinition name=1s! type=2s! format=3s description=4s priority=5i jsonPath=6s!
apiextensions.v1.CustomResourceSubresourceScale specReplicasPath=1s! statusReplicasPath=2s! labelSelectorPath=3s*
apiextensions.v1.ValidationRule rule=1s! message=2s messageExpression=3s reason=4s* fieldPath=5s optionalOldSelf=6b*
apiextensions.v1.JSONSchemaProps id=1s $schema=2s $ref=3s* description=4s type=5s format=6s title=7s default=8apiextensions.v1.JSON* maximum=9d* exclusiveMaximum=10b minimum=11d* exclusiveMinimum=12b maxLength=13l* minLength=14l* pattern=15s maxItems=16l* minItems=17l* uniqueItems=18b multipleOf=19d* enum=20[apiextensions.v1.JSON maxProperties=21l* minProperties=22l* required=23[s items=24apiextensions.v1.JSONSchemaPropsOrArray* allOf=25[apiextensions.v1.JSONSchemaProps oneOf=26[apiextensions.v1.JSONSchemaProps anyOf=27[apiextensions.v1.JSONSchemaProps not=28apiextensions.v1.JSONSchemaProps* properties=29{apiextensions.v1.JSONSchemaProps additionalProperties=30apiextensions.v1.JSONSchemaPropsOrBool* patternProperties=31{apiextensions.v1.JSONSchemaProps dependencies=32{apiextensions.v1.JSONSchemaPropsOrStringArray additionalItems=33apiextensions.v1.JSONSchemaPropsOrBool* definitions=34{apiextensions.v1.JSONSchemaProps externalDocs=35apiextensions.v1.ExternalDocumentation* example=36apiextensions.v1.JSON* nullable=37b x-kubernetes-preserve-unknown-fields=38b* x-kubernetes-embedded-resource=39b x-kubernetes-int-or-string=40b x-kubernetes-list-map-keys=41[s x-kubernetes-list-type=42s* x-kubernetes-map-type=43s* x-kubernetes-validations=44[apiextensions.v1.ValidationRule
apiextensions.v1.ServiceReference namespace=1s! name=2s! path=3s* port=4i*
apiextensions.v1.WebhookConversion clientConfig=2apiextensions.v1.WebhookClientConfig* conversionReviewVersions=3[s!
apiextensions.v1.WebhookClientConfig url=3s* service=1apiextensions.v1.ServiceReference* caBundle=2y
apiextensions.v1.CustomResourceConversion strategy=1s! webhook=2apiextensions.v1.WebhookConversion*
apiregistration.v1.APIService metadata=1meta.v1.ObjectMeta! spec=2apiregistration.v1.APIServiceSpec! status=3apiregistration.v1.APIServiceStatus!
apiregistration.v1.APIServiceSpec service=1apiregistration.v1.ServiceReference* group=2s version=3s insecureSkipTLSVerify=4b caBundle=5y groupPriorityMinimum=7i! versionPriority=8i!
apiregistration.v1.APIServiceCondition type=1s! status=2s! lastTransitionTime=3meta.v1.Time reason=4s message=5s
apiregistration.v1.ServiceReference namespace=1s name=2s port=3i*
"""
HEAD = '''"""The protobuf field numbers of Kubernetes. Generated by scripts/make_protobuf.py. Pure."""

# ruff: noqa: E501

TABLE = """\\
'''
_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
_ENTRY = re.compile(
    r"^  (optional|repeated|map<string, *([^>]+)>) ?(?:(\S+) )?(\w+) = (\d+);", re.M
)
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
_TAGGED = re.compile(r"^\t(?:\w+[ \t]+)?(\S+)[ \t]+`([^`]*)`", re.M)


class Tag(NamedTuple):
    """What a Go struct says of one field."""

    json: str
    inline: bool
    pointer: bool
    written: bool


def main() -> int:
    """Writes or checks; the exit status."""
    folders = [word for word in sys.argv[1:] if not word.startswith("--")]
    text = made(folders[0] if folders else FOLDER)
    if "--check" in sys.argv:
        with open(TARGET) as file:
            return 0 if file.read() == text else 1
    with open(TARGET, "w") as file:
        file.write(text)
    return 0


def made(folder: str) -> str:
    """The whole module as it should stand in the tree. Raises FileNotFoundError where the sources
    are not.
    """
    lines = ELSEWHERE.splitlines()
    for source in SOURCES:
        for path in glob.glob(os.path.join(folder, source, "generated.proto")):
            if not any(f"/{name}/" in path for name in UNUSED):
                lines += _messages(path)
    if len(lines) < 100:
        raise FileNotFoundError(
            f"{folder} holds no generated.proto files: install golang-k8s-api-dev and its like"
        )
    return HEAD + "\n".join(sorted(lines)) + '\n"""\n'


def _messages(path: str) -> list[str]:
    with open(path) as file:
        text = _without_comments(file.read())
    found = re.search(r"^package (\S+);", text, re.M)
    assert found is not None, path
    home = _short(found[1])
    structs = _structs(os.path.dirname(path))
    return [
        _line(home, name, body, structs.get(name))
        for name, body in _MESSAGE.findall(text)
        if not name.endswith("List")
    ]


def _structs(folder: str) -> dict[str, dict[int, Tag]]:
    structs: dict[str, dict[int, Tag]] = {}
    for path in glob.glob(os.path.join(folder, "*.go")):
        if not os.path.basename(path).startswith(("generated", "zz_")):
            with open(path) as file:
                for name, body in _STRUCT.findall(file.read()):
                    structs[name] = dict(
                        tag for go, tags in _TAGGED.findall(body) if (tag := _tag(go, tags))
                    )
    return structs


def _tag(go: str, tags: str) -> tuple[int, Tag] | None:
    wire = re.search(r'protobuf:"\w+,(\d+)', tags)
    found = re.search(r'json:"([^"]*)"', tags)
    if wire is None or found is None:
        return None
    name, *options = found[1].split(",")
    return int(wire[1]), Tag(
        name, "inline" in options, go.startswith("*"), "omitempty" not in options
    )


def _line(home: str, name: str, body: str, tags: dict[int, Tag] | None) -> str:
    words = [f"{home}.{name}"] + (["^bare"] if not tags else [])
    for label, value, kind, field, number in _ENTRY.findall(body):
        tag = (tags or {}).get(int(number), Tag(field, False, False, False))
        if tag.json != "-" or not tags:
            words.append(_field(home, label, value or kind, number, tag))
    return " ".join(words)


def _field(home: str, label: str, kind: str, number: str, tag: Tag) -> str:
    kind = SCALARS.get(kind) or (_short(kind[1:]) if kind.startswith(".") else f"{home}.{kind}")
    single = label == "optional"
    message = single and "." in kind and not tag.pointer
    written = (tag.written and not tag.pointer) or (
        message and tag.json != "creationTimestamp" and not tag.inline
    )
    kind = kind if single else ("[" if label == "repeated" else "{") + kind
    return f"{tag.json}={number}{'~' * tag.inline}{kind}{'*' * (tag.pointer and single)}{'!' * written}"


def _short(name: str) -> str:
    for prefix in ("k8s.io.api.", "k8s.io.apimachinery.pkg.apis.", "k8s.io.apimachinery.pkg.util.", "k8s.io.apimachinery.pkg.api.",
                   "k8s.io.apimachinery.pkg.", "k8s.io.metrics.pkg.apis."):  # fmt: skip
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    raise ValueError(f"{name}: a new family of names")


def _without_comments(text: str) -> str:
    return re.sub(r"^[ \t]*//[^\n]*\n|/\*.*?\*/", "", text, flags=re.M | re.S)


if __name__ == "__main__":
    sys.exit(main())
