"""Who may do what: the cluster's masters, nodes for what is theirs, and RBAC for everybody else.

Roles and bindings are read once and followed; answers are remembered until one of them changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.auth.rbac import MASTERS, Policy
from kubelite.control.api.wire.aside import LARGE, aside
from kubelite.control.api.wire.attributes import AuthorizationAttributes, length
from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.selectors import pinned
from kubelite.control.api.wire.status import forbidden
from kubelite.lib.text_cache import LONGEST

if TYPE_CHECKING:
    from kubelite.control.api.auth.node_authorizer import NodeAuthorizer
    from kubelite.control.api.auth.rbac import Rule
    from kubelite.control.api.wire.request import Request, User
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import StatusError
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

ROLES, BINDINGS = ("roles", "clusterroles"), ("rolebindings", "clusterrolebindings")
REMEMBERED = 4096


class Authorizer:
    """Answers questions from what the store holds now."""

    def __init__(self, store: Store, nodes: NodeAuthorizer) -> None:
        self._nodes = nodes
        self._policy = Policy({}, {})
        self._answers: dict[AuthorizationAttributes, bool] = {}
        self._rules: dict[tuple[User, str], list[Rule]] = {}
        self._followers = Followers(store, (*ROLES, *BINDINGS), self._note, self._reset)

    async def refresh(self, user: User) -> None:
        """Learns what has changed before ``user`` is judged; the other methods answer from that.
        Raises StoreError.
        """
        await self._followers.refresh()
        await self._nodes.refresh(user)

    def allows(self, attributes: AuthorizationAttributes) -> bool:
        """Whether a user may do something."""
        if MASTERS in attributes.user.groups:
            return True
        known = self._answers.get(attributes)
        if known is None:
            known = any(
                rule.allows(attributes)
                for rule in self._rules_of(attributes.user, attributes.namespace)
            )
            if attributes.is_short:
                if len(self._answers) >= REMEMBERED:
                    self._answers.clear()
                self._answers[attributes] = known
        return known or self._nodes.allows(attributes)

    async def review(self, attributes: AuthorizationAttributes, size: int) -> tuple[bool, str]:
        """Whether a user may do something, and :meth:`reason`. ``size`` are the bytes in which the
        question was asked: a large one, of many groups say, is judged in a thread.
        """
        policy = self._policy
        if size >= LARGE:
            policy = Policy(dict(policy.roles), dict(policy.bindings))
        return await aside(size, self._judge, policy, attributes)

    def _judge(self, policy: Policy, attributes: AuthorizationAttributes) -> tuple[bool, str]:
        if MASTERS in attributes.user.groups:
            return True, ""
        allowed = policy.allows(attributes) or self._nodes.allows(attributes)
        return allowed, self._reason(policy, attributes, allowed)

    def _reason(self, policy: Policy, attributes: AuthorizationAttributes, allowed: bool) -> str:
        """What all authorizers say; a refusal of the nodes' comes first."""
        refusal = "" if allowed else self._nodes.refusal(attributes)
        return "\n".join(filter(None, (refusal, policy.reason(attributes))))

    def _rules_of(self, user: User, namespace: str) -> list[Rule]:
        """The rules of a user in a namespace, remembered: names differ from request to request,
        these do not.
        """
        known = self._rules.get((user, namespace))
        if known is None:
            known = self._policy.rules(user, namespace)
            if len(namespace) + length(user) <= LONGEST:
                if len(self._rules) >= REMEMBERED:
                    self._rules.clear()
                self._rules[user, namespace] = known
        return known

    def reason(self, attributes: AuthorizationAttributes) -> str:
        """Why something is allowed or, where a binding leads nowhere or a node has no business with
        it, is not; "" where nobody says so.
        """
        if MASTERS in attributes.user.groups:
            return ""
        return self._reason(self._policy, attributes, self.allows(attributes))

    def rules(self, user: User, namespace: str) -> list[Rule]:
        """The RBAC rules of a user in a namespace."""
        return list(self._rules_of(user, namespace))

    def policy(self) -> Policy:
        """All roles and bindings, as of the last :meth:`refresh`."""
        return self._policy

    def _note(self, prefix: str, key: tuple[str, str], entry: Entry | None) -> None:
        held = self._policy.roles if prefix in ROLES else self._policy.bindings
        if entry is None:
            held.pop(key, None)
        else:
            held[key] = load(entry)
        self._forget()

    def _forget(self) -> None:
        self._answers.clear()
        self._rules.clear()

    def _reset(self, prefix: str) -> None:
        held = self._policy.roles if prefix in ROLES else self._policy.bindings
        for key in [key for key in held if bool(key[0]) == (prefix in ("roles", "rolebindings"))]:
            del held[key]
        self._forget()


def attributes_of(request: Request) -> AuthorizationAttributes:
    """What authorization is asked about a request.

    A list or watch that a field selector confines to one name is about that name, and a Namespace
    lies in itself (apiserver, ``request/requestinfo.go``).
    """
    res, name = request.resource, request.name
    selector = request.query.text("fieldSelector") if request.verb in ("list", "watch") else ""
    pins = pinned(selector) if selector else {}
    pinned_name = pins.get("metadata.name", "")
    namespace = request.name if res.plural == "namespaces" and not res.group else request.namespace
    return AuthorizationAttributes(
        request.user,
        request.verb,
        res.group,
        res.plural,
        request.sub,
        namespace,
        name or pinned_name,
        "",
        pinned_name,
        pins.get("spec.nodeName", ""),
    )


def denial(res: Resource, attributes: AuthorizationAttributes, reason: str = "") -> StatusError:
    """403 in the servers' words; ``reason`` as the authorizer gives it."""
    what = f"{attributes.resource}/{attributes.sub}" if attributes.sub else attributes.resource
    where = (
        f' in the namespace "{attributes.namespace}"'
        if attributes.namespace
        else " at the cluster scope"
    )
    sentence = (
        f'User "{attributes.user.name}" cannot {attributes.verb} resource "{what}" in API group '
        f'"{attributes.group}"{where}'
    )
    subject = f'{res.group_resource} "{attributes.name}"' if attributes.name else res.group_resource
    because = f": {reason}" if reason else ""
    return forbidden(res, attributes.name, f"{subject} is forbidden: {sentence}{because}")
