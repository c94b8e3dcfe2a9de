"""CEL rules of custom kinds: what they see, when they are asked, what they say, and what they may
cost.
"""

import time

import pytest

from kubelite.control.api.schema import cel, cel_functions, cel_text, cel_values, crd_cel_rules
from kubelite.control.api.schema.cel_values import spelled
from kubelite.control.api.strategy import validate
from kubelite.objects.cel import environments, types
from tests.control.api.pure import widget


def rules(schema, *given):
    return {
        **schema,
        "x-kubernetes-validations": [
            {"rule": each} if isinstance(each, str) else each for each in given
        ],
    }


def struct(**properties):
    return {"type": "object", "properties": properties}


def array(items, **more):
    return {"type": "array", "items": items, **more}


TEXT, WHOLE, NUMBER = ({"type": kind} for kind in ("string", "integer", "number"))
KEYED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


def broken(schema, value, old=None):
    return [(each.field, each.message) for each in cel.check(schema, value, old, "")]


@pytest.mark.parametrize(
    ("schema", "rule", "value"),
    [
        (struct(a=WHOLE, b=WHOLE), "self.a <= self.b", {"a": 1, "b": 2}),
        (struct(a=NUMBER), "self.a > 0.5", {"a": 1}),
        (struct(a=WHOLE), "!has(self.a) || self.a == 2", {"a": 2}),
        (struct(a=WHOLE), "!has(self.a) || self.a == 2", {}),
        (array(TEXT), "self.all(x, x.startsWith('a')) && self.exists_one(x, x == 'ab')",
         ["ab", "ac"]),
        (array(WHOLE), "self.isSorted() && self.sum() == 6 && self.max() == 3", [1, 2, 3]),
        (TEXT, "self.split(',').size() == 2 && self.lowerAscii() == 'a,b'", "A,B"),
        (TEXT, "self.matches('^[a-z]+$')", "abc"),
        ({**TEXT, "format": "date-time"},
         "self > timestamp('2020-01-01T00:00:00Z') && self.getFullYear() == 2026",
         "2026-05-04T03:02:01Z"),
        ({**TEXT, "format": "duration"}, "self == duration('90s')", "1m30s"),
        ({**TEXT, "format": "byte"}, "self == b'ab'", "YWI="),
        (struct(**{"max-age": WHOLE, "namespace": TEXT, "a.b": WHOLE}),
         "self.max__dash__age + self.a__dot__b == 3 && self.__namespace__ == 'x'",
         {"max-age": 1, "namespace": "x", "a.b": 2}),
        ({"type": "object", "additionalProperties": WHOLE},
         "self.all(k, self[k] > 0) && 'a-b' in self", {"a-b": 1}),
        ({"x-kubernetes-int-or-string": True}, "type(self) == int ? self > 0 : self == 'all'",
         "all"),
    ],
)  # fmt: skip
def test_what_a_rule_sees(schema, rule, value):
    known = environments.custom_rule(schema, spelled, optional=False)
    assert cel.problem(rule, known, types.BOOL) == ""
    assert broken(rules(schema, rule), value) == []
    assert broken(rules(schema, f"!({rule})"), value), "the rule would hold for anything"


def test_a_rule_about_the_past():
    fixed = rules(WHOLE, "self == oldSelf")
    assert broken(fixed, 1) == []
    assert broken(fixed, 1, 1) == []
    assert broken(fixed, 2, 1) == [("", "Invalid value: failed rule: self == oldSelf")]
    optional = rules(WHOLE, {"rule": "oldSelf.orValue(0) < self", "optionalOldSelf": True})
    assert broken(optional, 1) == []
    assert broken(optional, 0) != []
    assert broken(optional, 2, 1) == []
    assert broken(optional, 1, 1) != []


def test_items_are_known_by_their_keys():
    keyed = array(rules(struct(name=TEXT, size=WHOLE), "self.size >= oldSelf.size"), **KEYED)
    old = [{"name": "a", "size": 1}, {"name": "b", "size": 5}]
    assert (
        broken(
            keyed,
            [{"name": "b", "size": 5}, {"name": "new", "size": 0}, {"name": "a", "size": 2}],
            old,
        )
        == []
    )
    assert [field for field, _ in broken(keyed, [{"name": "b", "size": 4}], old)] == ["[0]"]


def test_what_did_not_change_is_not_asked_again():
    schema = struct(a=rules(WHOLE, "self > 5"), b=WHOLE)
    assert broken(schema, {"a": 1, "b": 2}, {"a": 1, "b": 1}) == []
    assert broken(schema, {"a": 2, "b": 2}, {"a": 1, "b": 2}) != []
    for each in (schema, struct(a={**WHOLE, "minimum": 5}, b=WHOLE)):
        res = widget(struct(spec=each))
        assert validate.validate_update(res, "", stored(a=1, b=3), stored(a=1, b=2)) == []
        assert validate.validate_update(res, "", stored(a=2, b=2), stored(a=1, b=2)) != []


def stored(**spec):
    metadata = {"name": "w", "namespace": "default", "uid": "u", "resourceVersion": "1"}
    return {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": metadata, "spec": spec}


def test_what_a_broken_rule_says():
    said = {
        "rule": "self.a < 3",
        "message": "too much",
        "messageExpression": (
            "'a is ' + string(self.a) + ', and was ' + (oldSelf == "
            "null ? 'nothing' : string(oldSelf.a))"
        ),
        "reason": "FieldValueForbidden",
        "fieldPath": ".a",
    }
    schema = struct(spec=rules(struct(a=WHOLE), said))
    (found,) = cel.check(schema, {"spec": {"a": 4}}, None, "")
    assert tuple(found) == ("FieldValueForbidden", "Forbidden: a is 4, and was nothing", "spec.a")
    for useless in ("self.none", "1", "'a\\nb'", "''"):
        (found,) = cel.check(
            rules(struct(a=WHOLE), {**said, "messageExpression": useless}), {"a": 4}, None, ""
        )
        assert (found.field, found.message) == ("a", "Forbidden: too much")


def test_an_error_is_a_refusal():
    for rule, why in (
        ("self.a / 0 == 1", "division by zero"),
        ("self.none == 1", "no such key: none"),
        ("self.a + 'x' == 'x'", ""),
    ):
        ((field, message),) = broken(rules(struct(a=WHOLE), rule), {"a": 1})
        assert (field, f"{why} evaluating rule: failed rule: {rule}" in message) == ("", True)


def test_no_value_takes_the_server_long():
    """A rule with loops in loops, on more items than it can look at, and a rule for each of very
    many items.
    """
    nested = rules(array(WHOLE), "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))")
    assert broken(nested, list(range(50))) == []
    started = time.process_time()
    assert "cost budget" in broken(nested, list(range(1000)))[0][1]
    many = array(rules(WHOLE, "self >= 0"))
    assert len(broken(many, [1] * 500_000)) == 1
    assert time.process_time() - started < 10


def outline(loops):
    """Loops as ``path > variable [inner loops]``."""
    return [
        f"{'.'.join(step.name or '[]' for step in loop.path)} > {loop.variable}"
        + (f" {outline(loop.inside)}" if loop.inside else "")
        for loop in loops
    ]


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("self.a > 1", []),
        ("self.all(x, x > 1) && self.exists(y, y == 1)", ["self > x", "self > y"]),
        ("self.all(x, x.items.exists(y, (y + 1) in self.map(z, z)))",
         ["self > x [\"x.items > y ['self > z']\"]"]),
        ("'self.all(x, (' + \"b.map(c, \" == self // .all(d, ", []),
        ("self.foo(x, self.all(y, true))", ["self > y"]),
        ("self.a[0].b.filter(x, x > 1).size() > 2", ["self.a.[].b > x"]),
        ("self.split('.').all(p, p != '')", ["self.split > p"]),
        ("[1, 2].all(x, x > 0)", ["[] > x"]),
        ("(self.a + self.b).all(x, true)", [" > x"]),
    ],
)  # fmt: skip
def test_loops(rule, found):
    assert outline(cel_text.loops(rule)) == found


LISTENERS = array(
    struct(name=TEXT, port=WHOLE, namespaces=array(TEXT), routes=array(struct(kind=TEXT))),
    maxItems=64,
)


@pytest.mark.parametrize(
    ("schema", "rule", "is_cheap"),
    [
        # What a loop goes over counts, not the longest list below.
        (LISTENERS, "self.all(a, self.exists_one(b, a.name == b.name))", True),
        (struct(spec=LISTENERS, tags=array(TEXT)),
         "self.spec.all(a, self.spec.all(b, a.port != b.port))", True),
        (array(TEXT), "self.all(a, a.startsWith('x'))", True),
        (array(TEXT), "self.all(a, self.all(b, a == b))", False),
        (LISTENERS, "self.all(a, a.namespaces.all(b, a.namespaces.all(c, b != c)))", False),
        ({"type": "object", "additionalProperties": {**TEXT, "maxLength": 63}, "maxProperties": 16},
         "self.all(k, self.all(l, k == l || self[k] != self[l]))", True),
        ({**TEXT, "maxLength": 253}, "self.split('.').all(p, p.size() < 64)", True),
    ],
)  # fmt: skip
def test_the_cost_of_loops(schema, rule, is_cheap):
    found = [cause.message for cause in crd_cel_rules.check(rules(schema, rule), "s")]
    if is_cheap:
        assert found == []
    else:
        assert all("exceeds budget" in message for message in (found[0], found[-1]))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("quantity(self).isGreaterThan(quantity('1Gi')) && quantity(self) == quantity('2048Mi')",
         "2Gi"),
        ("quantity(self).add(quantity('500m')).compareTo(quantity('1500m')) == 0", "1"),
        ("isQuantity(self) && quantity(self).isInteger() && quantity(self).asInteger() == 3", "3"),
        ("!isQuantity(self)", "three"),
        ("isIP(self) && ip(self).family() == 4 && ip(self).isGlobalUnicast()", "10.0.0.1"),
        ("ip(self).isLoopback() && !ip.isCanonical('0:0::1')", "::1"),
        ("!isIP(self)", "10.0.0.256"),
        ("isCIDR(self) && cidr(self).containsIP('10.1.2.3') && cidr(self).prefixLength() == 8",
         "10.0.0.0/8"),
        ("cidr(self).masked() == cidr('10.0.0.0/8') && cidr(self).containsCIDR('10.9.0.0/16')",
         "10.0.0.1/8"),
        ("isSemver(self) && semver(self).compareTo(semver('1.2.3')) > 0", "1.10.0"),
        ("semver(self).isLessThan(semver('1.0.0')) && !isSemver('v1.0')", "1.0.0-rc.2"),
        ("semver(self).isLessThan(semver('1.0.0-alpha.10'))", "1.0.0-alpha.2"),
        ("isSemver(self, true) && semver(self, true).minor() == 2", "v1.02"),
        ("isURL(self) && url(self).getHostname() == 'a.b' && url(self).getPort() == '8'", "https://a.b:8/c?d=e"),
        ("url(self).getScheme() == 'https' && url(self).getEscapedPath() == '/c'", "https://a.b:8/c?d=e"),
        ("self.find('[0-9]+') == '12' && self.findAll('[0-9]+').size() == 2", "a12b3"),
        ("!format.dns1123Label().validate(self).hasValue()", "my-name"),
        ("format.dns1123Label().validate(self).hasValue()", "My_name"),
        ("format.named('uuid').hasValue() && !format.named('none').hasValue()", ""),
        ("'%s has %d'.format([self, 2]) == 'x has 2'", "x"),
        ("['a', 'b'].indexOf(self) == 1 && 'abc'.indexOf(self) == 1", "b"),
        ("self.matches('^(?i)yes$')", "YES"),
    ],
)  # fmt: skip
def test_functions_of_kubernetes(rule, text):
    assert list(crd_cel_rules.check(rules(TEXT, rule), "s")) == []
    assert broken(rules(TEXT, rule), text) == []


def test_names_that_cel_can_spell():
    spelled = {
        "a": "a",
        "a-b": "a__dash__b",
        "a/b": "a__slash__b",
        "a__b": "a__underscores__b",
        "in": "__in__",
        "1a": None,
    }
    assert {name: cel_values.spelled(name) for name in spelled} == spelled


AT = "x-kubernetes-validations[0]"


OVER_BUDGET = [
    "Forbidden: contributed to estimated rule cost total",
    "Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema",
]


def test_rules_that_cost_too_much_together_are_named_with_the_schema():
    costly = rules(array(TEXT), "self.all(x, self.all(y, x != y))")
    alone, contributed, total = crd_cel_rules.check(costly, "s")
    assert alone.field == contributed.field == f"s.{AT}.rule"
    assert (total.field, total.reason) == ("s", "FieldValueForbidden")
    assert "exceeds budget by factor of more than 100x (try" in alone.message
    many = struct(**{f"f{number}": costly for number in range(6)})
    found = [cause.message for cause in crd_cel_rules.check(many, "s")]
    assert len([message for message in found if "contributed" in message]) == 4


@pytest.mark.parametrize(
    ("schema", "field", "said"),
    [
        (rules(WHOLE, ""), f"s.{AT}.rule", "rule is not specified"),
        (rules(WHOLE, "self =="), f"s.{AT}.rule", "compilation failed"),
        (
            rules(TEXT, "semver(self).isNewerThan(self)"),
            f"s.{AT}.rule",
            "undeclared reference to 'isNewerThan'",
        ),
        (rules(TEXT, "other == self"), f"s.{AT}.rule", "undeclared reference to 'other'"),
        (
            rules(TEXT, {"rule": "self == 'a'", "optionalOldSelf": True}),
            f"s.{AT}.optionalOldSelf",
            "not be set if oldSelf",
        ),
        (
            rules(TEXT, {"rule": "self == 'a'", "reason": "Because"}),
            f"s.{AT}.reason",
            "supported values",
        ),
        (rules(TEXT, {"rule": "self == 'a'", "message": " "}), f"s.{AT}.message", "non-empty"),
        (rules(TEXT, {"rule": "self == 'a'", "message": "a\nb"}), f"s.{AT}.message", "line breaks"),
        (
            rules(TEXT, "self ==\n'a'"),
            f"s.{AT}.message",
            "must be specified if rule contains line breaks",
        ),
        (
            rules(TEXT, {"rule": "self == 'a'", "messageExpression": "self +"}),
            f"s.{AT}.messageExpression",
            "compilation failed",
        ),
        (
            rules(struct(a=TEXT), {"rule": "self.a == 'a'", "fieldPath": ".b"}),
            f"s.{AT}.fieldPath",
            "valid path",
        ),
        (
            rules(struct(a=TEXT), {"rule": "self.a == 'a'", "fieldPath": "a"}),
            f"s.{AT}.fieldPath",
            "valid path",
        ),
        (
            array(rules(WHOLE, "self > oldSelf")),
            f"s.items.{AT}.rule",
            "uncorrelatable portion of the schema within s",
        ),
        (
            rules(array(WHOLE), "self.all(x, self.all(y, x == y))"),
            f"s.{AT}.rule",
            "estimated rule cost exceeds budget",
        ),
        (
            array(array(rules(WHOLE, "self > 0"))),
            f"s.items.items.{AT}.rule",
            "estimated rule cost exceeds budget",
        ),
    ],
)
def test_rules_that_are_refused(schema, field, said):
    found, *total = crd_cel_rules.check(schema, "s")
    assert [cause.message.partition(" exceed")[0] for cause in total] in ([], OVER_BUDGET)
    assert (found.field, said in found.message) == (field, True), found


@pytest.mark.parametrize(
    "schema",
    [
        rules(
            struct(a=TEXT, **{"b-c": struct(d=TEXT)}), {"rule": "self.a == 'a'", "fieldPath": ".a"}
        ),
        rules(struct(**{"b-c": struct(d=TEXT)}), {"rule": "true", "fieldPath": "['b-c'].d"}),
        array(rules(struct(name=TEXT), "self == oldSelf"), **KEYED),
        rules(array(WHOLE), "self.all(x, x > 0)"),
        rules(array(WHOLE, maxItems=1000), "self.all(x, self.all(y, x == y))"),
        array(array(rules(WHOLE, "self > 0"), maxItems=10)),
        rules(TEXT, {"rule": "self ==\n'a'", "message": "must be a"}),
    ],
)
def test_rules_that_are_taken(schema):
    assert list(crd_cel_rules.check(schema, "s")) == []


@pytest.mark.parametrize(
    ("rule", "value", "holds"),
    [
        ("self.?a.?b.orValue(1) > 2", {"a": {"b": 3}}, True),
        ("self.?a.b.orValue(1) > 2", {}, False),
        ("self.?list[?1].orValue('') == 'y'", {"list": ["x", "y"]}, True),
        ("!self.list[?1].hasValue() && self.list.size() == 1", {"list": ["x"]}, True),
    ],
)
def test_optional_steps(rule, value, holds):
    schema = struct(a=struct(b=WHOLE), list=array(TEXT))
    known = environments.custom_rule(schema, spelled, optional=False)
    assert cel.problem(rule, known, types.BOOL) == ""
    assert (broken(rules(schema, rule), value) == []) is holds


def test_every_function_that_can_be_called_has_a_type():
    declared = {name.rpartition(".")[2] for name in types.functions()}
    assert set(cel_functions.FUNCTIONS) - {"named"} <= declared | {"named"}


@pytest.mark.parametrize(
    ("expression", "value", "result"),
    [
        ("self.all(k, v, v.all(i, x, i < x && k != ''))", {"a": [1, 2]}, True),
        ("self.exists(k, v, k == 'a' && v == 1)", {"a": 1}, True),
        ("self.existsOne(i, v, v == 2)", [2, 1], True),
        ("self.map(k, self[k].all(i, x, x > i)).all(b, b)", {"a": [1, 2]}, True),
        ("self.transformList(i, x, i > 0, [i, x].all(i, i > 0))", [5, 6], [True]),
        ("self.transformMap(k, v, v + 1)", {"a": 1}, {"a": 2}),
        ("self.transformMapEntry(k, v, {v: k})", {"a": "b"}, {"b": "a"}),
        ("self.?a.optMap(x, x.?b.orValue(3)).orValue(9)", {"a": {}}, 3),
        ("self.?a.optMap(x, x).orValue(9)", {}, 9),
        ("optional.of(self).optFlatMap(x, optional.of(x * 2)).value()", 2, 4),
    ],
)
def test_loops_over_keys_and_values_and_optional_values(expression, value, result):
    assert cel.problem(expression, {"self": types.DYN}) == ""
    assert cel.run(expression, {"self": value}) == result
