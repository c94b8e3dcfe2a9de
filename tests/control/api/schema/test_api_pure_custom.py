"""Custom kinds: pruning, defaults, validation of objects, and of the definitions themselves."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.schema import cel, json_schema_props, structural_schema, validation
from kubelite.control.api.schema.crd_validation import check_crd
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.status import StatusError, invalid
from tests.control.api.pure import causes as causes_of
from tests.control.api.pure import edited, res_of, widget

PRESERVE = structural_schema.PRESERVE


def typed(kind, **more):
    return {"type": kind, **more}


def struct(required=(), **properties):
    return {
        "type": "object",
        "properties": properties,
        **({"required": list(required)} if required else {}),
    }


SPEC = struct(
    size=typed("integer", default=3, minimum=1),
    name=typed("string"),
    inner=struct(a=typed("string", default="x")),
    made={**struct(b=typed("integer", default=7)), "default": {}},
    many=typed("array", items=struct(n=typed("string"), d=typed("string", default="y"))),
    free={"type": "object", PRESERVE: True},
    map=typed("object", additionalProperties=struct(v=typed("integer"))),
    maybe=typed("string", nullable=True, default="z"),
)
RES = widget(struct(spec=SPEC, status=struct()))


def obj(**spec):
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": spec,
    }


def conformed(given_obj, res=RES, validation="Ignore"):
    return strategy.conform(res, given_obj, validation=validation)


def test_defaults_fill_what_is_missing_from_the_outside_in():
    made, _ = conformed(obj(inner={}, many=[{"n": "1"}]))
    assert made["spec"] == {
        "inner": {"a": "x"},
        "many": [{"n": "1", "d": "y"}],
        "size": 3,
        "made": {"b": 7},
        "maybe": "z",
    }


def test_null_is_filled_or_dropped_unless_it_is_allowed():
    made, _ = conformed(obj(size=None, name=None, maybe=None))
    assert made["spec"]["size"] == 3
    assert "name" not in made["spec"]
    assert made["spec"]["maybe"] is None


def test_unknown_fields_are_dropped_and_told():
    given_obj = obj(
        x=1,
        inner={"y": 1},
        many=[{"z": 1}],
        free={"anything": {"goes": 1}},
        map={"k": {"v": 1, "w": 2}},
    )
    made, warnings = conformed({**given_obj, "extra": 1}, validation="Warn")
    assert made["spec"]["free"] == {"anything": {"goes": 1}}
    assert made["spec"]["map"] == {"k": {"v": 1}}
    assert {*warnings} == {
        f'unknown field "{path}"'
        for path in ("extra", "spec.x", "spec.inner.y", "spec.many[0].z", "spec.map.k.w")
    }
    with pytest.raises(StatusError) as caught:
        conformed(given_obj, validation="Strict")
    assert 'strict decoding error: unknown field "spec.x"' in caught.value.status["message"]


def test_without_a_schema_everything_is_kept():
    made, _ = conformed(obj(a={"b": [1]}), widget(None), "Strict")
    assert made["spec"] == {"a": {"b": [1]}}


def test_an_embedded_resource_keeps_what_every_object_has():
    found = widget(
        struct(spec={**struct(a=typed("string")), "x-kubernetes-embedded-resource": True})
    )
    inside = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "a": "1"}
    made, _ = conformed(obj(**inside, b=2), found)
    assert made["spec"] == inside


def test_metadata_is_that_of_every_object():
    made, _ = conformed(
        {
            **obj(),
            "metadata": {
                "labels": {"b": "1", "a": "2"},
                "name": "w",
                "odd": 1,
                "creationTimestamp": None,
            },
        }
    )
    assert list(made)[:3] == ["kind", "apiVersion", "metadata"]
    assert made["metadata"] == {"name": "w", "labels": {"a": "2", "b": "1"}}
    with pytest.raises(StatusError) as caught:
        conformed({**obj(), "metadata": {"labels": {"a": 1}}})
    assert (
        "cannot unmarshal number into Go struct field ObjectMeta.metadata.labels"
        in caught.value.status["message"]
    )


KEPT = st.recursive(
    st.none() | st.integers(0, 3) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["size", "name", "inner", "many", "x", "a", "n"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["size", "inner", "many", "free", "map", "x"]), KEPT))
def test_conforming_twice_is_conforming_once(spec):
    before = copy.deepcopy(spec)
    once, _ = conformed(obj(**spec))
    assert spec == before
    twice, warnings = conformed(once, validation="Warn")
    assert twice == once
    assert warnings == []


def causes(schema, value):
    return {
        each.field: (each.reason.removeprefix("FieldValue"), each.message)
        for each in validation.check(schema, value)
    }


@pytest.mark.parametrize(
    ("schema", "value", "reason", "message"),
    [
        (
            typed("integer"),
            "x",
            "TypeInvalid",
            'Invalid value: "string": spec.f in body must be of type integer: "string"',
        ),
        (typed("integer"), 1.5, "TypeInvalid", "must be of type integer"),
        (typed("integer"), True, "TypeInvalid", 'must be of type integer: "boolean"'),
        (typed("string"), None, "TypeInvalid", 'must be of type string: "null"'),
        (typed("object"), [], "TypeInvalid", 'must be of type object: "array"'),
        (
            {"x-kubernetes-int-or-string": True},
            1.5,
            "TypeInvalid",
            "must be of type integer,string",
        ),
        (
            typed("string", enum=["a", "b"]),
            "c",
            "NotSupported",
            'Unsupported value: "c": supported values: "a", "b"',
        ),
        (
            typed("integer", minimum=1),
            0,
            "Invalid",
            "Invalid value: 0: spec.f in body should be greater than or equal to 1",
        ),
        (
            typed("integer", minimum=1, exclusiveMinimum=True),
            1,
            "Invalid",
            "should be greater than 1",
        ),
        (typed("number", maximum=1), 1.5, "Invalid", "should be less than or equal to 1"),
        (typed("integer", multipleOf=2), 3, "Invalid", "should be a multiple of 2"),
        (typed("integer", format="int32"), 2**31, "Invalid", "should be of type int32"),
        (typed("string", maxLength=1), "ab", "TooLong", "Too long: may not be more than 1 bytes"),
        (typed("string", minLength=1), "", "Invalid", "should be at least 1 chars long"),
        (
            typed("string", pattern="^a$"),
            "b",
            "Invalid",
            "Invalid value: \"b\": spec.f in body should match '^a$'",
        ),
        (typed("string", format="date-time"), "now", "Invalid", 'must be of type date-time: "now"'),
        (typed("string", format="ipv4"), "::1", "Invalid", "must be of type ipv4"),
        (
            typed("array", items=typed("string"), maxItems=1),
            ["a", "b"],
            "TooMany",
            "Too many: 2: must have at most 1 items",
        ),
        (
            typed("array", items=typed("string"), minItems=1),
            [],
            "Invalid",
            "should have at least 1 items",
        ),
        (typed("object", maxProperties=1), {"a": 1, "b": 2}, "TooMany", "Too many: 2"),
        (typed("object", minProperties=1), {}, "Invalid", "should have at least 1 properties"),
        (
            {"anyOf": [typed("integer"), typed("boolean")]},
            "x",
            "Invalid",
            "must validate at least one schema (anyOf)",
        ),
        (
            {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
            3,
            "Invalid",
            "must validate one and only one schema (oneOf). Found 2 valid alternatives",
        ),
        ({"oneOf": [{"minimum": 5}, {"minimum": 6}]}, 3, "Invalid", "(oneOf). Found none valid"),
        ({"not": {"enum": [3]}}, 3, "Invalid", "must not validate the schema (not)"),
        ({"allOf": [{"minimum": 5}]}, 3, "Invalid", "should be greater than or equal to 5"),
    ],
)
def test_what_a_schema_refuses(schema, value, reason, message):
    (found,) = causes(struct(spec=struct(f=schema)), {"spec": {"f": value}}).items()
    assert (found[0], found[1][0]) == ("spec.f", reason)
    assert message in found[1][1]


def test_required_fields_and_repeated_items():
    schema = struct(required=["a"], a=struct(required=["b"]))
    assert causes(schema, {}) == {"a": ("Required", "Required value")}
    assert causes(schema, {"a": {}}) == {"a.b": ("Required", "Required value")}
    members = struct(s=typed("array", items=typed("string"), **{"x-kubernetes-list-type": "set"}))
    assert causes(members, {"s": ["a", "a"]}) == {"s[1]": ("Duplicate", 'Duplicate value: "a"')}
    keyed = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    listed = struct(s=typed("array", items=struct(k=typed("string")), **keyed))
    assert causes(listed, {"s": [{"k": "1"}, {"k": "1", "v": 2}]}) == {
        "s[1]": ("Duplicate", 'Duplicate value: {"k":"1"}')
    }


@pytest.mark.parametrize(
    ("schema", "value"),
    [(typed("string", nullable=True), None), (typed("number"), 3), (typed("integer"), 3.0),
     (typed("string", format="date-time"), "2026-01-01T00:00:00Z"),
     (typed("string", format="unheard-of"), "x"), ({"x-kubernetes-int-or-string": True}, "50%")],
)  # fmt: skip
def test_what_a_schema_accepts(schema, value):
    assert causes(schema, value) == {}


def test_an_object_is_refused_by_path_and_all_at_once():
    found = strategy.validate_create(
        RES, {**obj(size=0, name=3), "metadata": {"name": "W", "namespace": "d"}}
    )
    assert [each.field for each in found] == ["metadata.name", "spec.size", "spec.name"]
    status = invalid(RES, "W", found).status
    assert status["message"].startswith(
        'Widget.example.com "W" is invalid: [metadata.name: Invalid value: "W"'
    )


# -- definitions -----------------------------------------------------------------------------------

VERSION = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": struct(spec=struct(a=typed("integer")))},
}
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "widgets",
            "singular": "widget",
            "kind": "Widget",
            "listKind": "WidgetList",
        },
        "versions": [VERSION],
    },
}
DEFINITIONS = res_of(CRD)
V0 = "spec.versions[0]"
# Causes find what every version has at the top of the definition; decoding does not.
S0 = f"{V0}.schema.openAPIV3Schema"
VALIDATION = "spec.validation.openAPIV3Schema"
AT = "spec__versions__0__schema__openAPIV3Schema"


def test_a_right_definition():
    assert check_crd(CRD) == []


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"spec__scope": "Wide"}, "spec.scope",
         'Unsupported value: "Wide": supported values: "Cluster", "Namespaced"'),
        ({"spec__scope": ...}, "spec.scope", "Required value"),
        ({"spec__names__kind": ...}, "spec.names.kind", "Required value"),
        ({"spec__versions": []}, "spec.versions",
         "must have exactly one version marked as storage version"),
        ({"spec__versions__0__storage": False}, "spec.versions",
         "must have exactly one version marked as storage version"),
        ({"spec__versions": [VERSION, {**VERSION, "storage": False}]}, "spec.versions",
         "must contain unique version names"),
        ({"spec__versions__0__schema": ...}, S0, "Required value: schemas are required"),
        ({f"{AT}__type": ...}, f"{VALIDATION}.type", "must not be empty at the root"),
        ({f"{AT}__type": "array", f"{AT}__items": typed("string"), f"{AT}__properties": ...},
         f"{VALIDATION}.type", "must be object at the root"),
        ({f"{AT}__properties__x": {}}, f"{VALIDATION}.properties[x].type",
         "must not be empty for specified object fields"),
        ({f"{AT}__properties__x": {"type": "thing"}}, f"{VALIDATION}.properties[x].type",
         'Unsupported value: "thing"'),
        ({f"{AT}__properties__x": typed("array")}, f"{VALIDATION}.properties[x].items",
         "Required value"),
        ({f"{AT}__properties__x": typed("object", additionalProperties=False)},
         f"{VALIDATION}.properties[x].additionalProperties", "cannot be set to false"),
        ({f"{AT}__properties__x": {**struct(a=typed("string")),
                                   "additionalProperties": typed("string")}},
         f"{VALIDATION}.properties[x].additionalProperties", "mutual exclusive"),
        ({f"{AT}__properties__x": typed("string", uniqueItems=True)},
         f"{VALIDATION}.properties[x].uniqueItems", "cannot be set to true"),
        ({f"{AT}__properties__x": {"type": "string", "$ref": "y"}},
         f"{VALIDATION}.properties[x].$ref", "not supported"),
        ({f"{AT}__properties__x": typed("integer", default="a")},
         f"{VALIDATION}.properties[x].default", "must be of type integer"),
        ({f"{AT}__properties__x": typed("string", anyOf=[{"type": "string"}])},
         f"{VALIDATION}.properties[x].anyOf[0].type", "must be empty to be structural"),
        ({f"{AT}__properties__metadata": struct(labels=typed("object"))},
         f"{VALIDATION}.properties[metadata]",
         "must not specify anything other than name and generateName"),
        ({f"{AT}__properties__x": typed("array", items=struct(),
                                        **{"x-kubernetes-list-type": "map"})},
         f"{VALIDATION}.properties[x].x-kubernetes-list-map-keys", "must not be empty"),
        ({f"{AT}__properties__x": typed("array", items=struct(k=typed("string")),
                                        **{"x-kubernetes-list-type": "map",
                                           "x-kubernetes-list-map-keys": ["k"]})},
         f"{VALIDATION}.properties[x].items.properties[k].default",
         "must have a default or be a required property"),
        ({"spec__versions__0__additionalPrinterColumns": [{"name": "A", "type": "float",
                                                           "jsonPath": ".a"}]},
         "spec.additionalPrinterColumns[0].type", 'Invalid value: "float"'),
        ({"spec__versions__0__additionalPrinterColumns": [{"name": "A", "type": "string",
                                                           "jsonPath": "a"}]},
         "spec.additionalPrinterColumns[0].JSONPath", "must be a simple json path starting with ."),
        ({"spec__versions__0__subresources": {"scale": {"specReplicasPath": ".x",
                                                        "statusReplicasPath": ".status.r"}}},
         "spec.subresources.scale.specReplicasPath", "should be a json path under .spec"),
    ],
)  # fmt: skip
def test_a_wrong_definition(change, field, said):
    (found,) = check_crd(edited(CRD, **change))
    assert found.field == field
    assert said in found.message


@pytest.mark.parametrize(
    ("conversion", "field"),
    [
        ({"strategy": "Other"}, "strategy"),
        ({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}},
         "webhookClientConfig"),
        ({"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://a"}}},
         "conversionReviewVersions"),
    ],
)  # fmt: skip
def test_a_wrong_conversion(conversion, field):
    assert set(causes_of(edited(CRD, spec__conversion=conversion))) == {f"spec.conversion.{field}"}


def test_a_definition_has_the_name_of_what_it_defines():
    assert set(causes_of(edited(CRD, metadata__name="other.example.com"))) == {"metadata.name"}


def test_the_schemas_of_a_definition_are_put_in_order():
    given_schema = {
        "properties": {
            "b": {"nullable": False, "type": "string", "maxLength": 0},
            "a": {"x": 1, "type": "string"},
        },
        "type": "object",
        "description": "",
    }
    found, warnings = strategy.conform(
        DEFINITIONS, edited(CRD, **{AT: given_schema}), validation="Warn"
    )
    made = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert made == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string", "maxLength": 0}},
    }
    assert warnings == [f'unknown field "{S0}.properties.a.x"']


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"type": 3},
            (
                "cannot unmarshal number into Go struct field "
                f"JSONSchemaProps.{S0}.type of type string"
            ),
        ),
        (
            {"properties": []},
            f"cannot unmarshal array into Go struct field JSONSchemaProps.{S0}.properties",
        ),
        (
            {"properties": {"a": 1}},
            f"cannot unmarshal number into Go struct field JSONSchemaProps.{S0}.properties.a",
        ),
        (
            {"items": "x"},
            f"cannot unmarshal string into Go struct field JSONSchemaProps.{S0}.items",
        ),
        (
            {"anyOf": [1]},
            f"cannot unmarshal number into Go struct field JSONSchemaProps.{S0}.anyOf[0]",
        ),
        (
            {"maximum": True},
            (
                "cannot unmarshal bool into Go struct field "
                f"JSONSchemaProps.{S0}.maximum of type float64"
            ),
        ),
        ({"x-kubernetes-validations": [1]}, f"{S0}.x-kubernetes-validations[0]"),
    ],
)
def test_a_schema_of_wrong_types_cannot_be_read(wrong, said):
    with pytest.raises(StatusError) as caught:
        strategy.conform(DEFINITIONS, edited(CRD, **{AT: wrong}))
    assert caught.value.code == 400
    assert said in caught.value.status["message"]


def test_int_or_string_and_preserved_fields_need_no_type():
    free = {
        "x": {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
        },
        "y": {PRESERVE: True},
    }
    assert check_crd(edited(CRD, **{f"{AT}__properties": free})) == []


# -- rules -----------------------------------------------------------------------------------------


def rule(text, **more):
    return {"x-kubernetes-validations": [{"rule": text, **more}]}


def test_rules_are_kept():
    schema = struct(
        spec={
            **struct(a=typed("integer"), b=typed("integer")),
            **rule("self.a <= self.b", message="a is more than b"),
        }
    )
    assert list(cel.check(schema, {"spec": {"a": 1, "b": 2}}, None, "")) == []
    (found,) = cel.check(schema, {"spec": {"a": 3, "b": 2}}, None, "")
    assert (found.field, found.reason, found.message) == (
        "spec",
        "FieldValueInvalid",
        "Invalid value: a is more than b",
    )
    forbidden = struct(
        a={
            **typed("integer"),
            **rule("self == oldSelf", reason="FieldValueForbidden", message="fixed"),
        }
    )
    assert list(cel.check(forbidden, {"a": 1}, None, "")) == []
    (found,) = cel.check(forbidden, {"a": 2}, {"a": 1}, "")
    assert (found.field, found.message) == ("a", "Forbidden: fixed")
    (found,) = cel.check(
        struct(a={**typed("object"), **rule("self.none > 1")}), {"a": {}}, None, ""
    )
    assert "no such key: none evaluating rule: " in found.message
    (broken,) = check_crd(
        edited(CRD, **{f"{AT}__properties__x": {**typed("string"), **rule("self ==")}})
    )
    assert "compilation failed" in broken.message


def test_a_default_at_the_root_says_which_object_it_is():
    for default, missing in (({}, ["apiVersion", "kind"]), ({"kind": "A"}, ["apiVersion"])):
        problems = check_crd(edited(CRD, **{f"{AT}__default": default}))
        assert [problem.field.rpartition(".")[2] for problem in problems] == missing


def test_null_in_a_rule_of_a_definition_is_nothing():
    given = {"type": "object", "x-kubernetes-validations": [{"rule": "true", "message": None}]}
    made = json_schema_props.normal(given, "", [])
    assert made["x-kubernetes-validations"] == [{"rule": "true"}]
