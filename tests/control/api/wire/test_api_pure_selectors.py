"""Selectors of lists and watches against a plain restatement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire import selectors
from kubelite.control.api.wire.status import StatusError
from tests.control.api.pure import POD, edited, res, widget

KEYS = st.sampled_from(["a", "b", "example.com/c"])
VALUES = st.sampled_from(["1", "2", "10", "x", ""])
LISTS = st.lists(VALUES, min_size=1, max_size=3).filter(lambda found: found != [""])  # "()" is none
LABELS = st.dictionaries(KEYS, VALUES)


@st.composite
def terms(draw):
    """A term as text, and the question it asks."""
    key, value, values = draw(KEYS), draw(VALUES), draw(LISTS)
    number = draw(st.integers(0, 12))
    space = draw(st.sampled_from(["", " "]))
    listed = ",".join(values)
    return draw(
        st.sampled_from(
            [
                (f"{key}{space}={space}{value}", lambda labels: labels.get(key) == value),
                (f"{key}=={value}", lambda labels: labels.get(key) == value),
                (f"{key}{space}!={value}", lambda labels: labels.get(key) != value),
                (
                    f"{key} in ({listed})",
                    lambda labels: labels.get(key) in values if key in labels else False,
                ),
                (
                    f"{key} notin{space}({listed})",
                    lambda labels: labels.get(key) not in values or key not in labels,
                ),
                (key, lambda labels: key in labels),
                (f"!{space}{key}", lambda labels: key not in labels),
                (
                    f"{key}>{number}",
                    lambda labels: labels.get(key, "").isdigit() and int(labels[key]) > number,
                ),
                (
                    f"{key}{space}<{space}{number}",
                    lambda labels: labels.get(key, "").isdigit() and int(labels[key]) < number,
                ),
            ]
        )
    )


@given(st.lists(terms(), max_size=3), LABELS)
def test_label_selectors_ask_what_they_say(asked, labels):
    found = selectors.parse_labels(",".join(text for text, _ in asked))
    assert found.matches(labels) == all(question(labels) for _, question in asked)


@given(st.text(alphabet="ab=!<>(), in", max_size=12))
def test_any_text_is_a_selector_or_a_bad_request(text):
    try:
        selectors.parse_labels(text)
    except StatusError as error:
        assert error.code == 400


@pytest.mark.parametrize(
    "text", ["a=b c", "a in", "a in (", "a in ()", "=b", "a>x", "a b", "a=b,", "!", "a=b/c", ",a"]
)
def test_what_is_no_label_selector(text):
    with pytest.raises(StatusError) as caught:
        selectors.parse_labels(text)
    assert caught.value.status["reason"] == "BadRequest"


RUNNING = edited(
    POD,
    metadata__namespace="d",
    spec__nodeName="n",
    status={"phase": "Running", "podIP": "1.2.3.4"},
)


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("metadata.name=web", True),
        ("metadata.name!=web", False),
        ("metadata.name=web,metadata.namespace=d", True),
        ("status.phase!=Succeeded,status.phase!=Failed", True),
        ("spec.nodeName=", False),
        ("spec.nodeName==n", True),
        ("status.podIPs=1.2.3.4", True),
        ("spec.hostNetwork=false", True),
        ("", True),
    ],
)
def test_field_selectors(text, matches):
    assert strategy.selector(res("v1", "Pod"), "", text).matches(RUNNING) is matches


def test_only_some_fields_may_be_selected():
    with pytest.raises(StatusError) as caught:
        strategy.selector(res("v1", "Pod"), "", "spec.hostname=x")
    assert caught.value.status["message"] == "field label not supported: spec.hostname"
    declared = widget(None, selectableFields=[{"jsonPath": ".spec.color"}])
    assert strategy.selector(declared, "", "spec.color=red").matches({"spec": {"color": "red"}})


def test_a_selector_that_names_one_object_says_so():
    pod = res("v1", "Pod")
    assert strategy.selector(pod, "a=b", "metadata.name=x").only_name() == "x"
    assert strategy.selector(pod, "", "metadata.name!=x").only_name() is None
    assert strategy.selector(pod, "", "") == selectors.EVERYTHING


@given(LABELS, LABELS)
def test_a_selector_object_asks_for_all_of_it(wanted, labels):
    assert selectors.matcher({"matchLabels": wanted})(labels) == all(
        labels.get(key) == value for key, value in wanted.items()
    )
    assert not selectors.matcher(None)(labels)
    assert selectors.matcher({})(labels)


@pytest.mark.parametrize(
    ("kind", "path", "is_selectable"),
    [
        (("v1", "Node"), "metadata.namespace", False),
        (("rbac.authorization.k8s.io/v1", "ClusterRole"), "metadata.namespace", True),
        (("events.k8s.io/v1", "Event"), "regarding.name", True),
        (("events.k8s.io/v1", "Event"), "involvedObject.name", False),
        (("v1", "Event"), "involvedObject.name", True),
        (("apps/v1", "ReplicaSet"), "status.replicas", False),
        (("v1", "ReplicationController"), "status.replicas", True),
    ],
)
def test_which_fields_a_kind_lets_be_selected(kind, path, is_selectable):
    try:
        strategy.selector(res(*kind), "", f"{path}=x")
    except StatusError as error:
        assert (error.code, is_selectable) == (400, False)
    else:
        assert is_selectable
