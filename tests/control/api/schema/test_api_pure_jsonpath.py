import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.schema import jsonpath

OBJ = {
    "spec": {
        "replicas": 3,
        "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 443}],
        "empty": [],
    },
    "metadata": {"labels": {"app.kubernetes.io/name": "web", "x": "y"}},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]
    },
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.replicas", [3]),
        ("{.spec.replicas}", [3]),
        ("$.spec.replicas", [3]),
        (".spec['replicas']", [3]),
        (".metadata.labels['app\\.kubernetes\\.io/name']", ["web"]),
        (".metadata.labels.app\\.kubernetes\\.io/name", ["web"]),
        (".metadata.labels.*", ["web", "y"]),
        (".spec.ports[0].port", [80]),
        (".spec.ports[-1].port", [443]),
        (".spec.ports[9].port", []),
        (".spec.ports[*].name", ["a", "b"]),
        ('.spec.ports[?(@.name=="b")].port', [443]),
        (".spec.ports[?(@.port>80)].name", ["b"]),
        (".spec.ports[?(@.port<=80)].name", ["a"]),
        (".spec.ports[?(@.name!='a')].name", ["b"]),
        (".spec.ports[?(@.none)].name", []),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".spec.none.at.all", []),
        (".spec.replicas.deeper", []),
        (".", [OBJ]),
        ("", [OBJ]),
    ],
)
def test_paths(path, found):
    assert jsonpath.find(path, OBJ) == found


@pytest.mark.parametrize(
    "path", ["..replicas", ".a[", ".a[x]", ".a[?(@.b==)]", ".a[0:2]", ".a b['", ".a[?(@.b==x)]"]
)
def test_what_cannot_be_read_is_refused_by_name(path):
    with pytest.raises(jsonpath.PathError) as caught:
        jsonpath.parse(path)
    assert str(caught.value)


@given(st.text(alphabet=".[]'\"?(@)=*ab01\\ ", max_size=12))
def test_any_text_is_a_path_or_an_error(path):
    try:
        jsonpath.find(path, OBJ)
    except jsonpath.PathError:
        return


KEYS = st.text(alphabet="abc./-", min_size=1, max_size=4)


@given(st.lists(KEYS, min_size=1, max_size=4))
def test_quoted_keys_lead_to_their_value(keys):
    obj = "here"
    for key in reversed(keys):
        obj = {key: obj}
    assert jsonpath.find("".join(f"['{key}']" for key in keys), obj) == ["here"]
    assert jsonpath.find("".join("." + key.replace(".", "\\.") for key in keys), obj) == ["here"]
