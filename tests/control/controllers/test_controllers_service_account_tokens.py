"""When a Secret gets a token, and when it goes; its use is in ``test_controllers_live``."""

from __future__ import annotations

from typing import Any

from kubelite.control.controllers.actions import Delete, Outcome, Post, Read, Refusal, Step, Update
from kubelite.control.controllers.lifecycle.service_account_tokens import (
    SERVICE_ACCOUNT_TOKEN_CONTROLLER,
    plan,
)
from kubelite.control.controllers.view import FixedView

KEY = ("default", "tok")


def obj(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}"} | rest.pop("meta", {})
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}


def secret(uid: str = "", **data: str) -> dict[str, Any]:
    annotations = {"kubernetes.io/service-account.name": "robot"}
    if uid:
        annotations["kubernetes.io/service-account.uid"] = uid
    type_ = "kubernetes.io/service-account-token"
    return obj("Secret", "tok", type=type_, meta={"annotations": annotations}, data=data)


AUTHORITY = obj("ConfigMap", "kube-root-ca.crt", data={"ca.crt": "PEM"})
ROBOT = obj("ServiceAccount", "robot")
FULL = {"ca.crt": "UEVN", "namespace": "ZGVmYXVsdA==", "token": "dG9rZW4="}


def steps(*objects: dict[str, Any]) -> tuple[Any, ...]:
    return plan(FixedView(objects), KEY, 0.0).steps


def test_a_token_is_asked_for_and_bound_to_the_secret() -> None:
    ((step),) = steps(secret(), ROBOT, AUTHORITY)
    (post,) = step.actions
    assert isinstance(post, Post)
    assert (post.name, post.sub) == ("robot", "token")
    reference = {"kind": "Secret", "apiVersion": "v1", "name": "tok", "uid": "uid-tok"}
    assert post.body["spec"]["boundObjectRef"] == reference
    (update,) = step.then((Outcome(post, {"status": {"token": "token"}}),))
    assert isinstance(update, Update)
    assert update.body["data"] == FULL
    assert step.then((Outcome(post, None, Refusal(403, "Forbidden", "no")),)) == ()


def test_only_what_is_missing_is_written() -> None:
    assert steps(secret("uid-robot", **FULL), ROBOT, AUTHORITY) == ()
    (update,) = steps(secret("uid-robot", **FULL | {"ca.crt": "b2xk"}), ROBOT, AUTHORITY)
    assert update.body["data"] == FULL
    opaque = secret() | {"type": "Opaque"}
    assert steps(opaque, ROBOT, AUTHORITY) == ()


def test_it_goes_when_the_server_says_that_its_account_is_gone_or_another() -> None:
    for objects in ((secret(),), (secret("uid-of-before"), ROBOT)):
        (step,) = steps(*objects)
        assert isinstance(step, Step)
        (read,) = step.actions
        assert isinstance(read, Read)
        gone = Outcome(read, None, Refusal(404, "NotFound", "no"))
        (delete,) = step.then((gone,))
        assert isinstance(delete, Delete) and delete.uid == "uid-tok"
        away = Outcome(read, None, Refusal(503, "ServiceUnavailable", "later"))
        assert step.then((away,)) == ()
        same = {"metadata": {"name": "robot", "uid": "uid-of-before"}}
        assert step.then((Outcome(read, same),)) == ()


def test_an_account_that_comes_or_goes_concerns_its_secrets() -> None:
    (concerned,) = [
        concerned
        for resource, concerned in SERVICE_ACCOUNT_TOKEN_CONTROLLER.watches.items()
        if resource.resource == "serviceaccounts"
    ]
    view = FixedView([secret()])
    assert list(concerned(view, ROBOT, None)) == list(concerned(view, None, ROBOT)) == [KEY]
    assert list(concerned(view, ROBOT, ROBOT)) == []
    assert list(concerned(view, obj("ServiceAccount", "other"), None)) == []
