import pytest

from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.status import StatusError
from tests.control.api.pure import DEPLOYMENT, POD, created, edited, refusal, res, res_of


def message(obj, validation="Strict"):
    return refusal(obj, validation)["message"]


def test_an_unknown_field_is_refused_when_strict():
    found = refusal(
        edited(DEPLOYMENT, spec__replicaz=3, spec__template__spec__containers__0__foo=1)
    )
    assert (found["code"], found["reason"]) == (400, "BadRequest")
    assert found["message"] == (
        'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: '
        'unknown field "spec.template.spec.containers[0].foo", unknown field "spec.replicaz"'
    )


def test_an_unknown_field_is_told_when_warned_and_dropped_in_any_case():
    wrong = edited(DEPLOYMENT, spec__replicaz=3)
    made, warnings = strategy.conform(res_of(wrong), wrong, validation="Warn")
    assert warnings == ['unknown field "spec.replicaz"']
    ignored, silent = strategy.conform(res_of(wrong), wrong, validation="Ignore")
    assert silent == []
    assert "replicaz" not in made["spec"]
    assert ignored == made


def test_duplicate_fields_are_told_with_the_unknown_ones():
    with pytest.raises(StatusError) as caught:
        strategy.conform(res_of(POD), POD, validation="Strict", duplicates=("spec.x",))
    assert caught.value.status["message"].endswith(
        'strict decoding error: duplicate field "spec.x"'
    )
    assert strategy.conform(res_of(POD), POD, validation="Warn", duplicates=("spec.x",))[1] == [
        'duplicate field "spec.x"'
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"spec__replicas": "3"},
         "string into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"spec__replicas": 2**31},
         "number 2147483648 into Go struct field DeploymentSpec.spec.replicas of type int32"),
        ({"spec": []}, "array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
        (
            {"spec__template__spec__containers": {}},
            ("object into Go struct field "
             "PodSpec.spec.template.spec.containers of type "
             "[]v1.Container"),
        ),
        ({"metadata__labels": {"a": 1}},
         "number into Go struct field ObjectMeta.metadata.labels of type string"),
        ({"spec__paused": "yes"},
         "string into Go struct field DeploymentSpec.spec.paused of type bool"),
        (
            {"spec__template__spec__containers__0__resources": {"limits": {"cpu": "many"}}},
            ("quantities must match the regular expression "
             "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("validation", ["Strict", "Ignore"])
def test_wrong_types_are_told_as_gos_decoder_does(fields, said, validation):
    told = said if said.startswith("quantities") else f"json: cannot unmarshal {said}"
    wanted = f'Deployment in version "v1" cannot be handled as a Deployment: {told}'
    assert message(edited(DEPLOYMENT, **fields), validation) == wanted


@pytest.mark.parametrize("body", [[], "x", 3, None])
def test_a_body_must_be_an_object(body):
    with pytest.raises(StatusError) as caught:
        strategy.conform(res("v1", "Pod"), body)
    assert caught.value.code == 400


def test_nulls_are_fields_that_were_not_given():
    wanted = created(DEPLOYMENT)
    nulls = edited(
        DEPLOYMENT,
        spec__replicas=None,
        metadata__creationTimestamp=None,
        spec__template__spec__nodeName=None,
        status=None,
    )
    assert created(nulls) == wanted


def test_kind_and_version_may_be_left_out_and_must_not_be_others():
    bare = edited(POD, kind=..., apiVersion=...)
    made, _ = strategy.conform(res_of(POD), bare)
    assert (made["kind"], made["apiVersion"]) == ("Pod", "v1")
    with pytest.raises(StatusError) as caught:
        strategy.conform(res("v1", "Pod"), DEPLOYMENT)
    assert caught.value.code == 400


def test_conforming_what_conforms_changes_nothing():
    for obj in (created(POD), created(DEPLOYMENT)):
        again, warnings = strategy.conform(res_of(obj), obj, validation="Strict")
        assert again == obj
        assert list(again) == list(obj)
        assert warnings == []


def test_order_puts_added_fields_in_their_place():
    made = created(POD)
    mixed = {
        "spec": {**made["spec"], "tolerations": [{"key": "a", "operator": "Exists"}]},
        "metadata": made["metadata"],
        "kind": "Pod",
        "apiVersion": "v1",
    }
    ordered = strategy.order(res_of(POD), mixed)
    assert list(ordered)[:4] == ["kind", "apiVersion", "metadata", "spec"]
    names = list(ordered["spec"])
    assert (
        names.index("schedulerName")
        < names.index("tolerations")
        < names.index("enableServiceLinks")
    )


def test_order_follows_the_objects_own_version():
    new = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "a"},
        "spec": {"maxReplicas": 2, "metrics": [{"type": "Resource"}]},
    }
    assert strategy.order(res("autoscaling/v1", "HorizontalPodAutoscaler"), new)["spec"][
        "metrics"
    ] == [{"type": "Resource"}]
