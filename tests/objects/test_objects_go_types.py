"""What messages print of Kubernetes' Go structs."""

import msgspec
import pytest

from kubelite.objects.facts import go_types
from kubelite.objects.rules import cause


def shown(kind, value):
    return msgspec.json.decode(bytes(go_types.internal(kind, value)))


def test_an_internal_struct_has_all_its_fields_by_their_go_names():
    reference = {"resource": "services", "name": "s"}
    assert bytes(go_types.internal("networking.v1.ParentReference", reference)) == (
        b'{"Group":"","Resource":"services","Namespace":"","Name":"s"}'
    )


def test_pointers_lists_and_maps_that_are_not_there_are_null():
    container = shown("core.v1.Container", {"name": "c"})
    assert container["LivenessProbe"] is container["Command"] is container["RestartPolicy"] is None
    assert (container["TTY"], container["Resources"]["Limits"]) == (False, None)


def test_structs_that_go_embeds_lie_in_their_parent():
    volume = shown("core.v1.Volume", {"name": "v", "quobyte": {"registry": "r", "volume": "x"}})
    assert list(volume)[:3] == ["Name", "HostPath", "EmptyDir"]
    assert volume["Quobyte"]["Registry"] == "r"
    assert list(volume).index("Quobyte") == list(volume).index("RBD") + 1


def test_metadata_and_selectors_keep_their_names_in_documents():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    assert list(shown("core.v1.PodTemplateSpec", template)) == ["labels", "Spec"]
    selector = {"matchExpressions": [{"operator": "Exists", "key": "k"}], "matchLabels": {"a": "b"}}
    assert bytes(go_types.internal("meta.v1.LabelSelector", selector)) == (
        b'{"matchLabels":{"a":"b"},"matchExpressions":[{"key":"k","operator":"Exists"}]}'
    )


def test_what_a_pod_says_of_its_host_is_in_its_security_context():
    spec = shown("core.v1.PodSpec", {"containers": [], "hostNetwork": True})
    assert "HostNetwork" not in spec
    assert spec["SecurityContext"]["HostNetwork"] is True
    assert shown("core.v1.PodSpec", {"containers": []})["SecurityContext"] is None


def test_characters_of_html_are_escaped():
    assert b"\\u003ca\\u0026b\\u003e" in bytes(go_types.internal("{s", {"k": "<a&b>"}))


def test_a_field_of_a_document_is_shown_by_its_type():
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    assert go_types.internal_field(claim, "spec.storageClassName", None) is None
    assert bytes(go_types.internal_field(claim, "spec.volumeName", None)) == b'""'
    assert go_types.internal_field({"apiVersion": "a/v1", "kind": "X"}, "spec.a", {}) == {}


def test_a_difference_is_a_unified_diff():
    old, new = {"claimName": "a"}, {"claimName": "b"}
    assert go_types.difference("core.v1.PersistentVolumeClaimVolumeSource", old, new) == (
        '@@ -1,4 +1,4 @@\n {\n- "ClaimName": "a",\n+ "ClaimName": "b",\n  "ReadOnly": false\n }\n'
    )
    assert go_types.difference("core.v1.PersistentVolumeClaimVolumeSource", old, old) == ""


@pytest.mark.parametrize(
    ("definition", "field", "steps", "name"),
    [
        ("core.v1.Volume", "hostPath", ("VolumeSource", "hostPath"), "v1.HostPathVolumeSource"),
        ("core.v1.ServiceSpec", "sessionAffinity", ("sessionAffinity",), "v1.ServiceAffinity"),
        ("core.v1.ServiceSpec", "ipFamilies", ("ipFamilies",), "[]v1.IPFamily"),
        (
            "admissionregistration.v1.NamedRuleWithOperations",
            "apiVersions",
            ("RuleWithOperations", "Rule", "apiVersions"),
            "[]string",
        ),
        ("core.v1.Container", "stdin", ("stdin",), "bool"),
    ],
)
def test_a_decoder_names_embedded_structs_and_named_types(definition, field, steps, name):
    kind = go_types.schema.definition(definition).fields[field].type
    assert go_types.steps(definition, field) == steps
    assert go_types.type_name(definition, field, kind) == name


def test_a_cause_shows_a_struct_where_it_is_told_the_type():
    found = cause.invalid(("roleRef",), {"kind": "Role"}, "no", "rbac.v1.RoleRef")
    assert found.message == 'Invalid value: {"APIGroup":"","Kind":"Role","Name":""}: no'
    assert cause.invalid(("roleRef",), None, "no", "rbac.v1.RoleRef").message == (
        "Invalid value: null: no"
    )
