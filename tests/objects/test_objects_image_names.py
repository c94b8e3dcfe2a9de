"""Which images a document needs, wherever its pod specification stands."""

from __future__ import annotations

from kubelite.objects.facts.image_names import image_names


def test_containers_and_image_volumes_of_any_kind() -> None:
    spec = {
        "initContainers": [{"image": "a"}],
        "containers": [{"name": "x", "image": "b"}, {"name": "no image"}],
        "volumes": [{"image": {"reference": "c"}}, {"emptyDir": {}}],
    }
    pod = {"kind": "Pod", "spec": spec}
    job = {"spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}}
    assert list(image_names(pod)) == ["a", "b", "c"]
    assert list(image_names({"kind": "List", "items": [pod, job]})) == ["a", "b", "c"] * 2


def test_what_only_looks_like_it_is_left_alone() -> None:
    odd = {"data": {"containers": "text", "image": "x"}, "containers": [{"image": 7}, "text", None]}
    assert list(image_names(odd)) == []
    assert list(image_names({"volumes": [{"image": None}, None]})) == []
