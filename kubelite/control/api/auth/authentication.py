"""Who asks: a client certificate, a bearer token, or nobody in particular; and on whose behalf.

A certificate counts when the TLS layer has checked it against the cluster's authority: its common
name is the user, its organisations are the groups. Tokens are tried in turn: the static file,
ServiceAccounts, bootstrap tokens.
"""

from __future__ import annotations

import csv
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.request import User
from kubelite.control.api.wire.status import bad_request, forbidden, unauthorized
from kubelite.lib.text_cache import remember_short, remember_short_calls
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.control.api.auth.authorization import Authorizer
    from kubelite.control.api.auth.tokens import Tokens
    from kubelite.control.api.wire.raw_request import Credentials
    from kubelite.control.store.store import Store

ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
AUTHENTICATED = "system:authenticated"
LEEWAY = timedelta(minutes=1)
_BOUND = {"pod": "pods", "secret": "secrets", "node": "minions"}
_ACCOUNT = "system:serviceaccount:"
_HIDDEN = "base64url.bearer.authorization.k8s.io."
_impersonates = re.compile("impersonate-", re.IGNORECASE | re.ASCII).match
_BOOTSTRAP = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")


class Authenticator:
    """Turns credentials into users."""

    def __init__(self, store: Store, tokens: Tokens, static: Mapping[str, User]) -> None:
        self._store = store
        self._tokens = tokens
        self._static = {token.encode(): user for token, user in static.items()}

    async def identify(self, credentials: Credentials) -> User:
        """The user behind a request; a verified certificate wins over a token. Raises StatusError
        401 where a token is no good.
        """
        if credentials.subject and (user := certified(credentials.subject)) is not ANONYMOUS:
            return user
        authorization = credentials.authorization or (
            hidden_authorization(credentials.protocols) if credentials.protocols else ""
        )
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer" or not token.strip():
                raise unauthorized()
            bearer, _ = await self.token(token.strip(), [])
            if bearer is None:
                raise unauthorized()
            return bearer
        return ANONYMOUS

    async def token(self, token: str, audiences: list[str]) -> tuple[User | None, list[str]]:
        """The user of a bearer token, and for which of the audiences it is good. ``[]`` means this
        server.
        """
        given = token.encode("utf-8", "surrogateescape")
        for known, user in self._static.items():
            if hmac.compare_digest(known, given):
                return user, audiences
        if token.count(".") == 2:
            return await self._service_account(token, audiences)
        match = _BOOTSTRAP.fullmatch(token)
        return (await self._bootstrap(*match.groups()) if match else None), audiences

    async def _service_account(
        self, token: str, audiences: list[str]
    ) -> tuple[User | None, list[str]]:
        claims = self._tokens.claims(token)
        if claims is None:
            return None, []
        good = [
            audience for audience in audiences or [self._tokens.issuer] if audience in claims["aud"]
        ]
        if not good or not await self._still_bound(claims["kubernetes.io"]):
            return None, []
        return account(claims), good

    async def _still_bound(self, private: dict[str, Any]) -> bool:
        """Whether the account, and what the token is bound to, are still the ones it was made
        for.
        """
        namespace = private["namespace"]
        held = [("serviceaccounts", namespace, private["serviceaccount"])]
        bound = next((kind for kind in _BOUND if kind in private), None)
        if bound is not None:
            held.append((_BOUND[bound], "" if bound == "node" else namespace, private[bound]))
        for prefix, where, reference in held:
            entry = await self._store.get(prefix, where, reference["name"])
            if entry is None or not _is_alive(
                load(entry)["metadata"], reference["uid"], datetime.now(UTC)
            ):
                return False
        return True

    async def _bootstrap(self, identity: str, secret: str) -> User | None:
        """A kubeadm-style join token, kept as a Secret in kube-system."""
        entry = await self._store.get("secrets", "kube-system", f"bootstrap-token-{identity}")
        if entry is None:
            return None
        obj = load(entry)
        data = {key: _decoded(value) for key, value in (obj.get("data") or {}).items()}
        if (
            obj.get("type") != "bootstrap.kubernetes.io/token"
            or obj["metadata"].get("deletionTimestamp")
            or data.get("token-id") != identity
            or not hmac.compare_digest(data.get("token-secret", "").encode(), secret.encode())
            or data.get("usage-bootstrap-authentication") != "true"
            or _is_past(data.get("expiration", ""))
        ):
            return None
        extra = [
            group
            for group in data.get("auth-extra-groups", "").split(",")
            if group.startswith("system:bootstrappers:")
        ]
        return User(
            f"system:bootstrap:{identity}", groups=("system:bootstrappers", *extra, AUTHENTICATED)
        )


@remember_short(1024)
def hidden_authorization(protocols: str) -> str:
    """The Authorization that a browser hides among the WebSocket protocols it offers, "" where
    there is none.

    Browsers cannot set headers of an upgrade (apiserver,
    ``authenticator/request/websocket/protocol.go``). Raises StatusError 401 for a token that is
    none, or that comes twice or alone.
    """
    import base64
    import binascii

    words = (word.strip() for word in protocols.split(","))
    hidden = [word[len(_HIDDEN) :] for word in words if word.startswith(_HIDDEN)]
    if not hidden:
        return ""
    try:
        token = base64.b64decode(
            hidden[0] + "=" * (-len(hidden[0]) % 4), altchars=b"-_", validate=True
        ).decode()
    except (binascii.Error, ValueError):
        raise unauthorized() from None
    if len(hidden) > 1 or not offered_protocols(protocols):
        raise unauthorized()
    return f"Bearer {token}"


def offered_protocols(protocols: str) -> list[str]:
    """The WebSocket protocols of a header, without a token that is hidden among them: that is for
    this server only.
    """
    words = (word.strip() for word in protocols.split(","))
    return [word for word in words if word and not word.startswith(_HIDDEN)]


@remember_short_calls(1024)
def certified(subject: tuple[tuple[str, str], ...]) -> User:
    """The user of a certificate, from the names in its subject."""
    name = next((value for key, value in subject if key == "commonName"), "")
    groups = tuple(value for key, value in subject if key == "organizationName")
    return User(name, groups=(*groups, AUTHENTICATED)) if name else ANONYMOUS


def account(claims: dict[str, Any]) -> User:
    """The user of a ServiceAccount token."""
    private = claims["kubernetes.io"]
    namespace = private["namespace"]
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", AUTHENTICATED)
    extra = [("authentication.kubernetes.io/credential-id", (f"JTI={claims['jti']}",))]
    for kind in ("pod", "node"):
        if kind in private:
            extra.append((f"authentication.kubernetes.io/{kind}-name", (private[kind]["name"],)))
            extra.append((f"authentication.kubernetes.io/{kind}-uid", (private[kind]["uid"],)))
    return User(claims["sub"], private["serviceaccount"]["uid"], groups, tuple(extra))


def _is_alive(metadata: dict[str, Any], uid: str, now: datetime) -> bool:
    """Whether an object is the one that was meant, and not gone for longer than clocks may
    differ.
    """
    ends = metadata.get("deletionTimestamp")
    return bool(metadata["uid"] == uid) and (
        not ends or datetime.fromisoformat(ends) + LEEWAY > now
    )


def _decoded(value: str) -> str:
    import base64

    return base64.b64decode(value).decode("utf-8", "replace")


def _is_past(text: str) -> bool:
    if not text:
        return False
    try:
        return datetime.fromisoformat(text) <= datetime.now(UTC)
    except (ValueError, TypeError):
        return True


def read_token_file(path: str) -> dict[str, User]:
    """The users of a static token file: ``token,user,uid,"group1,group2"`` a line. Raises OSError,
    ValueError.
    """
    users: dict[str, User] = {}
    with open(path, encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file), 1):
            if not row or row[0].startswith("#"):
                continue
            if len(row) < 3 or not row[0].strip() or not row[1].strip():
                raise ValueError(f"{path} line {number}: want token,user,uid and perhaps groups")
            token, name, uid = (part.strip() for part in row[:3])
            groups = tuple(
                part.strip() for part in (row[3] if len(row) > 3 else "").split(",") if part.strip()
            )
            users[token] = User(name, uid, (*groups, AUTHENTICATED))
    return users


def impersonated(user: User, headers: Mapping[str, str], authorizer: Authorizer) -> User:
    """The user that a request wants to be taken for, if the one who asks may do that. Raises
    StatusError 400, 403.
    """
    if not any(map(_impersonates, headers)):
        return user
    name = headers.get("Impersonate-User", "")
    groups = _all(headers, "Impersonate-Group")
    uid = headers.get("Impersonate-Uid", "")
    extra = _extra(headers)
    if not name:
        if groups or uid or extra:
            raise bad_request(
                "requested impersonation of groups, a uid or extra without impersonating a user"
            )
        return user
    for attributes in _questions(user, name, groups, uid, extra):
        if not authorizer.allows(attributes):
            what = (
                f"{attributes.resource}/{attributes.sub}" if attributes.sub else attributes.resource
            )
            sentence = (
                f'User "{user.name}" cannot impersonate resource "{what}" in API group '
                f'"{attributes.group}"'
            )
            where = (
                f'in the namespace "{attributes.namespace}"'
                if attributes.namespace
                else "at the cluster scope"
            )
            raise forbidden(
                None,
                attributes.name,
                f'{what} "{attributes.name}" is forbidden: {sentence} {where}',
            )
    account = split_account(name)
    if account is not None and not groups:
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"]
    if name == ANONYMOUS.name:
        own = ANONYMOUS.groups[0]
        groups = groups if own in groups else [*groups, own]
    elif AUTHENTICATED not in groups and ANONYMOUS.groups[0] not in groups:
        groups = [*groups, AUTHENTICATED]
    return User(
        name, uid, tuple(groups), tuple((key, tuple(values)) for key, values in extra.items())
    )


def split_account(name: str) -> tuple[str, str] | None:
    """Namespace and name of the ServiceAccount that a user name stands for; None for any other
    (serviceaccount, ``SplitUsername``).
    """
    if not name.startswith(_ACCOUNT):
        return None
    parts = name[len(_ACCOUNT) :].split(":")
    if len(parts) != 2 or names.label(parts[0]) or names.subdomain(parts[1]):
        return None
    return parts[0], parts[1]


def _questions(
    user: User, name: str, groups: list[str], uid: str, extra: dict[str, list[str]]
) -> list[AuthorizationAttributes]:
    """Everything that somebody who impersonates must be allowed to."""
    account = split_account(name)

    def question(resource: str, value: str, *, sub: str = "", namespace: str = "") -> None:
        group = "authentication.k8s.io" if resource in ("uids", "userextras") else ""
        attributes.append(
            AuthorizationAttributes(user, "impersonate", group, resource, sub, namespace, value)
        )

    attributes: list[AuthorizationAttributes] = []
    if account is not None:
        question("serviceaccounts", account[1], namespace=account[0])
    else:
        question("users", name)
    for group in groups:
        question("groups", group)
    if uid:
        question("uids", uid)
    for key, values in extra.items():
        for value in values:
            question("userextras", value, sub=key)
    return attributes


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    getall = getattr(headers, "getall", None)
    return list(getall(name, [])) if getall else [headers[name]] if name in headers else []


def _extra(headers: Mapping[str, str]) -> dict[str, list[str]]:
    extra: dict[str, list[str]] = {}
    for key, value in headers.items():
        if key.lower().startswith("impersonate-extra-"):
            extra.setdefault(unquote(key[len("impersonate-extra-") :]).lower(), []).append(value)
    return extra
