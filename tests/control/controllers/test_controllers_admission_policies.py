"""ValidatingAdmissionPolicies: what their authors are warned of."""

from __future__ import annotations

import pytest

from kubelite.control.controllers.policy import admission_policies
from tests.control.controllers.plain import NOW, World

KEY = ("", "p")


def policy(*expressions, resources=("deployments",), group="apps", generation=1, **spec):
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "resources": list(resources)}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "p", "uid": "u", "resourceVersion": "1", "generation": generation},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": expression} for expression in expressions],
            **spec,
        },
    }


def status_after(given):
    world = World(given)
    world.run(admission_policies.plan(world.view, KEY, NOW))
    (found,) = world.all("ValidatingAdmissionPolicy")
    assert not admission_policies.plan(world.view, KEY, NOW).steps, "it would be written again"
    return found["status"]


def test_expressions_that_fit_are_not_warned_of() -> None:
    assert status_after(policy("object.spec.replicas > 1", "true")) == {
        "observedGeneration": 1,
        "typeChecking": {},
    }


@pytest.mark.parametrize(
    ("given", "warnings"),
    [
        (
            policy("true", 'object.spec.replicas > "x"'),
            {
                "spec.validations[1].expression": "apps/v1, Kind=Deployment: ERROR: <input>:1:22: "
                "found no matching overload for '_>_' applied to '(int, string)'\n"
                ' | object.spec.replicas > "x"\n | .....................^\n'
            },
        ),
        (
            policy("object.data == null", resources=("configmaps", "pods", "*"), group=""),
            {
                "spec.validations[0].expression": "/v1, Kind=ConfigMap: ERROR: <input>:1:13: "
                "found no matching overload for '_==_' applied to '(map(string, string), null)'\n"
                " | object.data == null\n | ............^\n\n"
                "/v1, Kind=Pod: ERROR: <input>:1:7: undefined field 'data'\n"
                " | object.data == null\n | ......^\n"
            },
        ),
        (
            policy(
                "variables.n > 'x'", variables=[{"name": "n", "expression": "object.spec.replicas"}]
            ),
            {
                "spec.validations[0].expression": "apps/v1, Kind=Deployment: ERROR: <input>:1:13: "
                "found no matching overload for '_>_' applied to '(int, string)'\n"
                " | variables.n > 'x'\n | ............^\n"
            },
        ),
    ],
)
def test_each_kind_has_its_report(given, warnings) -> None:
    found = status_after(given)["typeChecking"]["expressionWarnings"]
    assert {each["fieldRef"]: each["warning"] for each in found} == warnings


def test_a_new_generation_is_looked_at_again() -> None:
    old = policy("true", generation=2) | {"status": {"observedGeneration": 1}}
    assert status_after(old)["observedGeneration"] == 2
