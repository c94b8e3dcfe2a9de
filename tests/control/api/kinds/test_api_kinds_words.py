"""Rules of single kinds and the words in which they are told."""

import pytest

from kubelite.control.api.kinds.common import addresses
from kubelite.control.api.kinds.registry import KINDS


def refusals(group, kind, document, check="check"):
    rule = getattr(KINDS[group, kind], check)
    return [f"{cause.field}: {cause.message}" for cause in rule(document)]


def test_an_ingress_class_may_be_said_twice_when_it_is_the_same():
    annotations = {"kubernetes.io/ingress.class": "a"}
    same = {"metadata": {"annotations": annotations}, "spec": {"ingressClassName": "a"}}
    assert refusals("networking.k8s.io", "Ingress", same, "check_create") == []
    other = {**same, "spec": {"ingressClassName": "b"}}
    assert refusals("networking.k8s.io", "Ingress", other, "check_create") == [
        'annotations.kubernetes.io/ingress.class: Invalid value: "a": '
        "must match `ingressClassName` when both are specified"
    ]


@pytest.mark.parametrize(
    ("name", "value", "default", "why"),
    [
        ("system-node-critical", 2_000_001_000, False, None),
        ("system-node-critical", 1, False, "value of system-node-critical PriorityClass must be"),
        ("system-cluster-critical", 2_000_000_000, True, "globalDefault of"),
        ("system-mine", 1, False, "system-mine is not a known system priority class"),
    ],
)
def test_system_priority_classes_are_those_of_kubernetes(name, value, default, why):
    document = {"metadata": {"name": name}, "value": value, "globalDefault": default}
    found = refusals("scheduling.k8s.io", "PriorityClass", document, "check_create")
    assert len(found) == (why is not None)
    assert all(why in message for message in found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.0.0.1", None),
        ("010.0.0.1", "must not have leading 0s"),
        ("10.0.0.256", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
    ],
)
def test_addresses_have_one_spelling(text, why):
    found = [cause.message for cause in addresses.check_address(text, "ip")]
    assert found == ([] if why is None else [f'Invalid value: "{text}": {why}'])


def test_an_event_of_the_core_group_may_have_any_name():
    assert KINDS["", "Event"].name("Any_name-") == []
    assert KINDS["", "Event"].name("a/b") == ["may not contain '/'"]


def test_the_limits_of_a_limit_range_are_named_in_words():
    limit = {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}}
    assert refusals("", "LimitRange", {"spec": {"limits": [limit]}}) == [
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": '
        "default request value 2 is greater than default limit value 1"
    ]


def policy(**spec):
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}
    whole = {
        "failurePolicy": "Fail",
        "matchConstraints": {"matchPolicy": "Exact", "resourceRules": [rule]},
        "validations": [{"expression": "true"}],
        **spec,
    }
    return {"metadata": {"name": "p"}, "spec": whole}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"validations": [{"expression": "1 ==\n 1"}]}, []),
        ({"validations": [{"expression": "true", "reason": "Unauthorized"}]},
         ['spec.validations[0].reason: Unsupported value: "Unauthorized": '
          'supported values: "Forbidden", "Invalid", "RequestEntityTooLarge"']),
        ({"validations": [{"expression": "true", "messageExpression": " "}]},
         ['spec.validations[0].messageExpression: Invalid value: " ": '
          "must be non-empty if specified"]),
        ({"auditAnnotations": [{"key": "a", "valueExpression": f"'{'x' * 5200}'"}]},
         ["spec.auditAnnotations[0].valueExpression: Required value: "
          "must not exceed 5120 bytes in length"]),
        ({"validations": []},
         [f"spec.{field}: Required value: validations or auditAnnotations must contain at least "
          "one item" for field in ("validations", "auditAnnotations")]),
    ],
)  # fmt: skip
def test_a_validating_policy(spec, said):
    group = "admissionregistration.k8s.io"
    assert refusals(group, "ValidatingAdmissionPolicy", policy(**spec)) == said


def test_an_audit_annotation_is_named_with_its_policy():
    document = policy(auditAnnotations=[{"key": "a b", "valueExpression": "'x'"}])
    group, kind = "admissionregistration.k8s.io", "ValidatingAdmissionPolicy"
    (said,) = refusals(group, kind, document)
    assert said.startswith('spec.auditAnnotations[0].key: Invalid value: "p/a b": name part must')
    (said,) = refusals(group, kind, {**document, "metadata": {}})
    assert said.endswith('Invalid value: "a b": requires metadata.name be non-empty')
