import json

import pytest

from kubelite.control.api.discovery import descriptions, gnostic, openapi, openapi_schema
from kubelite.objects.facts import kinds
from kubelite.objects.facts.protobuf import reader
from tests.control.api.pure import RESOURCES, widget

DOCUMENT = openapi.v2(RESOURCES)
DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"
ONE = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
PRESERVED = "x-kubernetes-preserve-unknown-fields"
WIDGET = widget(
    {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "description": "What is wanted.",
                "properties": {
                    "size": {"type": "integer", "nullable": True, "default": 3},
                    "any": {PRESERVED: True, "type": "object"},
                },
            }
        },
    }
)


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def test_every_reference_of_version_2_leads_somewhere():
    wanted = {each.removeprefix("#/definitions/") for each in references(DOCUMENT)}
    assert wanted - set(DOCUMENT["definitions"]) == set()


@pytest.mark.parametrize("path", sorted(openapi.v3_index(RESOURCES)["paths"]))
def test_every_document_of_version_3_is_whole(path):
    document = openapi.v3(RESOURCES, path)
    assert document["openapi"] == "3.0.0"
    wanted = {each.removeprefix("#/components/schemas/") for each in references(document)}
    assert wanted - set(document["components"]["schemas"]) == set()
    for schema in document["components"]["schemas"].values():
        assert not isinstance(schema.get("type"), list)
        for each in schema.get("properties", {}).values():
            assert "$ref" not in each or set(each) == {"$ref"}


def test_what_is_not_served_has_no_document():
    assert openapi.v3(RESOURCES, "apis/none/v1") is None


def test_kubectl_finds_what_it_looks_for_in_a_patch():
    """The kind, ``fieldValidation`` and ``dryRun``, and the strategic patch among the content types
    (kubectl 1.20, 1.32).
    """
    kind = {"group": "apps", "kind": "Deployment", "version": "v1"}
    old = DOCUMENT["paths"][ONE]["patch"]
    assert old["x-kubernetes-group-version-kind"] == kind
    assert {"dryRun", "fieldValidation", "force"} <= {each["name"] for each in old["parameters"]}
    assert "application/strategic-merge-patch+json" in old["consumes"]
    new = openapi.v3(RESOURCES, "apis/apps/v1")["paths"][ONE]["patch"]
    assert new["x-kubernetes-group-version-kind"] == kind
    assert "fieldValidation" in {each["name"] for each in new["parameters"]}
    assert "application/strategic-merge-patch+json" in new["requestBody"]["content"]


def test_operations_have_names_of_their_own():
    seen = [
        operation["operationId"]
        for item in DOCUMENT["paths"].values()
        for verb, operation in item.items()
        if verb != "parameters"
    ]
    assert len(seen) == len(set(seen))


def test_definitions_tell_kind_merge_keys_and_list_types():
    definitions = DOCUMENT["definitions"]
    assert definitions[DEPLOYMENT]["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "kind": "Deployment", "version": "v1"}
    ]
    ports = definitions["io.k8s.api.core.v1.Container"]["properties"]["ports"]
    assert ports["x-kubernetes-patch-merge-key"] == "containerPort"
    assert ports["x-kubernetes-patch-strategy"] == "merge"
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]
    assert definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] == {
        "type": "string",
        "format": "int-or-string",
    }
    assert definitions["io.k8s.api.core.v1.Container"]["required"] == ["name"]


def test_every_kind_that_is_listed_has_a_list():
    for row in kinds.KINDS:
        if "list" in row.verbs:
            (name,) = (
                name
                for name, each in DOCUMENT["definitions"].items()
                if each.get("x-kubernetes-group-version-kind")
                == [{"group": row.group, "kind": f"{row.kind}List", "version": row.version}]
            )
            assert name.endswith(f"{row.kind}List")


def test_the_index_changes_with_what_is_served():
    path = "apis/example.com/v1"
    first = openapi.v3_index([WIDGET])["paths"][path]["serverRelativeURL"]
    other = openapi.v3_index([widget({"type": "object"})])["paths"][path]["serverRelativeURL"]
    assert first.startswith(f"/openapi/v3/{path}?hash=")
    assert first != other
    assert first == openapi.v3_index([WIDGET])["paths"][path]["serverRelativeURL"]


def test_a_custom_kind_is_described_by_its_schema():
    name = "com.example.v1.Widget"
    assert openapi_schema.name_of(WIDGET) == name
    new = openapi.v3([WIDGET], "apis/example.com/v1")["components"]["schemas"][name]
    assert new["properties"]["spec"]["properties"]["size"] == {
        "type": "integer",
        "nullable": True,
        "default": 3,
    }
    assert new["properties"]["metadata"] == {
        "$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    }
    assert new["x-kubernetes-group-version-kind"] == [
        {"group": "example.com", "kind": "Widget", "version": "v1"}
    ]
    old = openapi.v2([WIDGET])["definitions"][name]["properties"]["spec"]
    assert old["description"] == "What is wanted."
    assert old["properties"] == {"size": {}, "any": {PRESERVED: True}}


def test_of_a_custom_kind_that_keeps_everything_version_2_says_nothing():
    anything = {"type": "object", PRESERVED: True, "properties": {"a": {"type": "string"}}}
    name, kind = "com.example.v1.Widget", "x-kubernetes-group-version-kind"
    for schema in (anything, None):
        old = openapi.v2([widget(schema)])["definitions"][name]
        assert {key: value for key, value in old.items() if key != kind} == {"type": "object"}
    new = openapi.v3([widget(anything)], "apis/example.com/v1")["components"]["schemas"][name]
    assert new["properties"]["a"] == {"type": "string"}


def test_the_common_fields_of_a_custom_kind_are_described():
    described = {"apiVersion": "which version", "kind": "which kind", "metadata": "about it"}
    definition = openapi.v2([WIDGET], lambda _: described)["definitions"]["com.example.v1.Widget"]
    for name, text in described.items():
        assert definition["properties"][name]["description"] == text


def test_a_custom_kind_has_no_strategic_patch():
    patch = openapi.v2([WIDGET])["paths"][
        "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"
    ]["patch"]
    assert "application/strategic-merge-patch+json" not in patch["consumes"]


def parts(data):
    """The fields of a protobuf message: number to values."""
    found = {}
    for number, value in reader.fields(data):
        found.setdefault(number, []).append(value)
    return found


def named(entries):
    return {parts(each)[1][0].decode(): parts(parts(each)[2][0]) for each in entries}


def test_the_protobuf_form_says_the_same():
    document = parts(gnostic.encode(DOCUMENT))
    assert document[1] == [b"2.0"]
    definitions = named(parts(document[9][0])[1])
    assert set(definitions) == set(DOCUMENT["definitions"])
    paths = named(parts(document[8][0])[2])
    assert set(paths) == set(DOCUMENT["paths"])
    deployment = definitions[DEPLOYMENT]
    fields = named(parts(deployment[25][0])[1])
    assert set(fields) == set(DOCUMENT["definitions"][DEPLOYMENT]["properties"])
    assert fields["spec"][1] == [b"#/definitions/io.k8s.api.apps.v1.DeploymentSpec"]
    extensions = named(deployment[31])
    said = json.loads(extensions["x-kubernetes-group-version-kind"][2][0])
    assert said == DOCUMENT["definitions"][DEPLOYMENT]["x-kubernetes-group-version-kind"]
    patch = parts(paths[ONE][8][0])
    assert patch[5] == [b"patchAppsV1NamespacedDeployment"]
    assert len(patch[8]) == len(DOCUMENT["paths"][ONE]["patch"]["parameters"])


def test_numbers_and_flags_of_schemas_are_encoded():
    schema = {
        "type": "object",
        "properties": {
            "a": {
                "type": "integer",
                "minimum": 1,
                "maxLength": 300,
                "uniqueItems": True,
                "enum": [1],
                "x-y": {"z": 1},
            }
        },
        "additionalProperties": False,
    }
    document = {"swagger": "2.0", "info": {}, "paths": {}, "definitions": {"a": schema}}
    found = named(parts(parts(gnostic.encode(document))[9][0])[1])["a"]
    assert parts(found[21][0]) == {}
    field = named(parts(found[25][0])[1])["a"]
    assert (field[11], field[16], parts(field[20][0])[2]) == ([300], [1], [b"1"])
    assert field[9] == [b"\x00\x00\x00\x00\x00\x00\xf0\x3f"]
    assert parts(field[22][0])[1] == [b"integer"]


def test_descriptions_are_shown_where_they_are_known():
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    told = openapi.v3(RESOURCES, "apis/apps/v1", descriptions.describe)["components"]["schemas"][
        DEPLOYMENT
    ]
    assert told["description"]
    assert told["properties"]["spec"]["description"]
    assert told["properties"]["spec"]["allOf"] == [
        {"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}
    ]
    assert descriptions.describe("none") == {"": ""}
