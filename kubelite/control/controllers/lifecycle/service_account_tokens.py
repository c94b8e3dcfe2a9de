"""Secrets that hold a token of a ServiceAccount (``kubernetes.io/service-account-token``). Pure.

After kubernetes, ``pkg/controller/serviceaccount/tokens_controller.go``: somebody creates one that
names an account, and gets token, namespace and certificate authority in it; it goes with the
account. The token is asked for by TokenRequest, bound to the Secret, for as long as the server
gives one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from functools import partial
from typing import Any

from kubelite.client.resources import CONFIG_MAPS, SECRETS, SERVICE_ACCOUNTS
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Delete,
    Outcome,
    Plan,
    Post,
    Read,
    Step,
    Update,
)
from kubelite.control.controllers.controller import Controller
from kubelite.control.controllers.lifecycle.service_accounts import ROOT_CA
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    annotations_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.view import View

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME, ACCOUNT_UID = (
    "kubernetes.io/service-account.name",
    "kubernetes.io/service-account.uid",
)
LONGEST_SECONDS = 1 << 32
"""The longest time that an API server accepts: 136 years."""


def plan(view: View, key: Key, now: float) -> Plan:
    """Fills a Secret, or removes it when its account is gone."""
    del now
    secret = view.get(SECRETS, *key)
    if secret is None or is_deleting(secret) or not _holds_token(secret):
        return NOTHING
    account = view.get(SERVICE_ACCOUNTS, key[0], _account_name(secret))
    if account is None or not _is_of(secret, account):
        read = Read(SERVICE_ACCOUNTS, key[0], _account_name(secret))
        return Plan((Step((read,), partial(_answered, secret), tolerant=True),))
    return _filled(view, secret, account)


def _holds_token(secret: Obj) -> bool:
    return secret.get("type") == TYPE and bool(_account_name(secret))


def _account_name(secret: Obj) -> str:
    return annotations_of(secret).get(ACCOUNT_NAME, "")


def _is_of(secret: Obj, account: Obj) -> bool:
    return annotations_of(secret).get(ACCOUNT_UID) in (None, "", uid_of(account))


def _answered(secret: Obj, outcomes: tuple[Outcome, ...]) -> tuple[Action, ...]:
    """The view may be behind: only the server is believed about an account's absence."""
    refusal, account = outcomes[0].refusal, outcomes[0].result
    is_gone = refusal is not None and refusal.code == 404
    if not is_gone and (account is None or _is_of(secret, account)):
        return ()
    revision = secret["metadata"].get("resourceVersion") or ""
    return (Delete(SECRETS, *key_of(secret), uid_of(secret), revision),)


def _filled(view: View, secret: Obj, account: Obj) -> Plan:
    namespace = namespace_of(secret)
    data = dict(secret.get("data") or {})
    authority = view.get(CONFIG_MAPS, namespace, ROOT_CA)
    if authority is not None:
        data["ca.crt"] = _base64((authority.get("data") or {}).get("ca.crt", ""))
    data.setdefault("namespace", _base64(namespace))
    annotations = {**annotations_of(secret), ACCOUNT_UID: uid_of(account)}
    if not data.get("token"):
        request = _token_request(secret)
        post = Post(SERVICE_ACCOUNTS, namespace, name_of(account), "token", request)
        return Plan((Step((post,), partial(_with_token, secret, annotations, data)),))
    if data == secret.get("data") and annotations == annotations_of(secret):
        return NOTHING
    return Plan((_update(secret, annotations, data),))


def _token_request(secret: Obj) -> dict[str, Any]:
    reference = {"kind": "Secret", "apiVersion": "v1", "name": name_of(secret)}
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {
            "audiences": [],
            "expirationSeconds": LONGEST_SECONDS,
            "boundObjectRef": {**reference, "uid": uid_of(secret)},
        },
    }


def _with_token(
    secret: Obj,
    annotations: dict[str, str],
    data: dict[str, str],
    outcomes: tuple[Outcome, ...],
) -> tuple[Action, ...]:
    answer = outcomes[0].result
    if answer is None:
        return ()
    return (_update(secret, annotations, {**data, "token": _base64(answer["status"]["token"])}),)


def _update(secret: Obj, annotations: dict[str, str], data: dict[str, str]) -> Update:
    metadata = {**secret["metadata"], "annotations": annotations}
    return Update(SECRETS, with_type(secret, "v1", "Secret") | {"metadata": metadata, "data": data})


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _own_key(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    del view, old
    return [key_of(new)] if new is not None and _holds_token(new) else []


def _of_account(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The Secrets of an account that is new or gone."""
    account = old if new is None else new
    if account is None or (old is not None and new is not None):
        return []
    return [
        key_of(secret)
        for secret in view.list(SECRETS, namespace_of(account))
        if _holds_token(secret) and _account_name(secret) == name_of(account)
    ]


def _of_authority(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """All of them in a namespace, when its certificate authority changes."""
    del old
    if new is None or name_of(new) != ROOT_CA:
        return []
    secrets = view.list(SECRETS, namespace_of(new))
    return [key_of(secret) for secret in secrets if _holds_token(secret)]


SERVICE_ACCOUNT_TOKEN_CONTROLLER = Controller(
    "serviceaccount-token-controller",
    "",  # only kube-controller-manager itself may ask for tokens of every account
    "serviceaccount-token-controller",
    {SECRETS: _own_key, SERVICE_ACCOUNTS: _of_account, CONFIG_MAPS: _of_authority},
    plan,
)
