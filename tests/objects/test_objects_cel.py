"""CEL: how expressions are read, their types, and what is said of those that have none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.objects.cel import checker, environments, mentions, types
from kubelite.objects.cel.syntax import UnreadableExpression, parse
from kubelite.objects.cel.types import BOOL, DYN, INT, STRING, list_of, map_of, object_of

SPEC = object_of(
    "Object.spec",
    {"replicas": INT, "names": list_of(STRING), "labels": map_of(STRING, STRING)},
)
KNOWN = {"object": object_of("Object", {"spec": SPEC}), "any": DYN, "text": STRING}


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("object.spec.replicas > 1 && !any.x", "bool"),
        ("object.spec.names.map(n, n.size()).sum()", "int"),
        ("object.spec.names.filter(n, n.startsWith('a'))", "list(string)"),
        ("object.spec.labels.all(k, object.spec.labels[k] != '')", "bool"),
        ("object.spec.labels.all(k, v, k != v)", "bool"),
        ("object.spec.labels.x", "string"),
        ("object.?spec.?replicas.orValue(1)", "int"),
        ("object.?spec.replicas", "optional_type(int)"),
        ("has(object.spec.replicas) ? any : 1", "dyn"),
        ("1 < 2.5", "bool"),
        ("-1 + int('2') * 3 % 2", "int"),
        ("timestamp('2026-01-01T00:00:00Z') - duration('1h')", "timestamp"),
        ("quantity('1Gi').add(1).isLessThan(quantity('2Gi'))", "bool"),
        ("cidr('10.0.0.0/8').ip().family()", "int"),
        ("format.dns1123Label().validate(text).orValue([])", "list(string)"),
        ("sets.contains([1, 2], [1])", "bool"),
        ("type(text) == string", "bool"),
        ("'a' in {'a': 1}", "bool"),
        ("[1, 'a']", "list(dyn)"),
        ("Object{spec: Object.spec{replicas: 3}}", "Object"),
        ("r'\\d+' + '''x'''", "string"),
    ],
)
def test_the_type_of_an_expression(expression, shown):
    found = checker.check(expression, KNOWN)
    assert (str(found.type), found.problems) == (shown, ())


@pytest.mark.parametrize(
    ("expression", "at", "message"),
    [
        ("object.spec.nothing == 1", 11, "undefined field 'nothing'"),
        ("object.spec.replicas > 'x'", 21,
         "found no matching overload for '_>_' applied to '(int, string)'"),
        ("bogus.foo", 0, "undeclared reference to 'bogus' (in container '')"),
        ("nope(1)", 4, "undeclared reference to 'nope' (in container '')"),
        ("text.foo", 4, "type 'string' does not support field selection"),
        ("text.contains(1)", 13,
         "found no matching overload for 'contains' applied to 'string.(int)'"),
        ("object.spec.replicas.all(x, true)", 11,
         ("expression of type 'int' cannot be range of a "
          "comprehension (must be list, map, or dynamic)")),
        ("object.spec.names.exists(n, n)", 24,
         "found no matching overload for '_&&_' applied to '(bool, string)'"),
        ("text == null", 5, "found no matching overload for '_==_' applied to '(string, null)'"),
        ("n.startsWith('a')", 0, "undeclared reference to 'n' (in container '')"),
        ("has(text)", 4, "invalid argument to has() macro"),
    ],
)  # fmt: skip
def test_what_is_wrong_and_where(expression, at, message):
    found = checker.check(expression, KNOWN)
    assert found.problems == (checker.Problem(at, message),)
    assert found.type == types.ERROR


def test_every_problem_is_printed_with_its_line_and_a_mark():
    expression = "a &&\n  b"
    problems = checker.check(expression, {}).problems
    assert checker.report(expression, problems) == (
        "ERROR: <input>:1:1: undeclared reference to 'a' (in container '')\n | a &&\n | ^\n"
        "ERROR: <input>:2:3: undeclared reference to 'b' (in container '')\n |   b\n | ..^"
    )


@pytest.mark.parametrize("text", ["1 +", "(a", "a b", "a..b", "for", "[1", "{1}", "'a", "", "a.1"])
def test_what_is_no_expression(text):
    with pytest.raises(UnreadableExpression):
        parse(text)


@given(st.text(st.sampled_from("ab.?[](){}:,'\"+-*<>=!&| 01"), max_size=40))
def test_any_text_is_read_or_refused(text):
    try:
        checker.check(text, {"a": DYN})
    except UnreadableExpression:
        pass


def test_a_deep_expression_is_refused():
    with pytest.raises(UnreadableExpression, match="nested"):
        parse("(" * 500 + "1" + ")" * 500)


def test_what_expressions_of_admission_can_name():
    known = environments.admission(has_params=True, variables={"v": INT})
    for expression in (
        "request.userInfo.groups.exists(g, g == 'x')",
        "namespaceObject.metadata.labels['a'] == 'b'",
        "authorizer.group('apps').resource('deployments').namespace('x').check('get').allowed()",
        "authorizer.requestResource.check('update').allowed()",
        "params.data.max == object.spec.x && oldObject == null",
        "variables.v > 1",
    ):
        assert checker.check(expression, known).type == BOOL, expression
    for expression in ("variables.w == 1", "request.nope == 1"):
        assert checker.check(expression, known).problems, expression
    assert checker.check("params.x", environments.admission(has_params=False)).problems


def test_the_types_of_a_schema():
    schema = {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date-time"},
            "size": {"x-kubernetes-int-or-string": True},
            "max-age": {"type": "integer"},
            "parts": {"type": "array",
                      "items": {"type": "object", "properties": {"n": {"type": "number"}}}},
            "more": {"type": "object", "additionalProperties": {"type": "boolean"}},
        },
    }  # fmt: skip
    known = environments.custom_rule(
        schema, lambda name: name.replace("-", "__dash__"), optional=True
    )
    for expression in (
        "self.when > timestamp('2026-01-01T00:00:00Z')",
        "self.size == 1 || self.size == 'a'",
        "self.max__dash__age > 1",
        "self.parts.all(p, p.n < 1.5)",
        "self.more.x",
        "oldSelf.hasValue()",
    ):
        assert checker.check(expression, known).type == BOOL, expression
    assert checker.check("self.parts[0].m", known).problems[0].message == "undefined field 'm'"


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        ("object.metadata.name != 'x'", {"object": {"metadata": {"name": None}}}),
        ("has(object.spec)", {"object": {"spec": {}}}),
        ("has(object.a.b) && object.a.b > 1", {"object": {"a": {"b": None}}}),
        ("object == oldObject && object.a", {"object": None, "oldObject": None}),
        ("object.l.all(i, has(i.a) && i.b == object.c)",
         {"object": {"l": {"[]": {"a": {}, "b": None}}, "c": None}}),
        ("object.l.filter(i, i.a).size() > 0", {"object": {"l": None}, "i": None}),
        ("object.m['k'].a == 1", {"object": {"m": None}}),
        ("1 +", None),
    ],
)  # fmt: skip
def test_what_an_expression_reads(expression, read):
    known = mentions.parts(expression)
    if known is not None and read is not None and "i" not in read:
        known = {name: below for name, below in known.items() if name != "i"}
    assert known == read


def test_a_value_is_reduced_to_what_is_read():
    pod = {"spec": {"l": [{"a": 1, "b": 2}, "x"], "m": {"k": 1}, "n": None}, "status": {}}
    for wanted, left in (
        (None, pod),
        ({"spec": {"l": {"[]": {"a": None}}}}, {"spec": {"l": [{"a": 1}, "x"]}}),
        ({"spec": {}, "none": None}, {"spec": {}}),
        ({"spec": {"l": {}, "m": {"[]": {}}, "n": {"x": None}}},
         {"spec": {"l": [], "m": {"k": 1}, "n": None}}),
    ):  # fmt: skip
        assert mentions.reduced(pod, wanted) == left
