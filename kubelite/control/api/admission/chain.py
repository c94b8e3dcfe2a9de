"""What admission rules share: the write on its way to the store, and the list of rules it passes.

A rule takes an :class:`Attempt` and returns; it refuses by raising StatusError, changes the object
in place, adds warnings, or adds companions: changes that are committed with the object or not at
all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request
    from kubelite.control.store.types import Change

    Rule = Callable[["Attempt"], Awaitable[None]]
    Kind = tuple[str, str]  # group and plural


class Attempt:
    """One write on its way to the store. ``operation`` is CREATE, UPDATE or DELETE; ``obj`` is
    empty for the latter. Of a connection (CONNECT) ``obj`` holds the options.
    """

    def __init__(
        self,
        context: Context,
        request: Request,
        operation: str,
        obj: dict[str, Any],
        old: dict[str, Any] | None,
        dry_run: bool,
        warnings: list[str],
    ) -> None:
        self.context = context
        self.request = request
        self.operation = operation
        self.obj = obj
        self.old = old
        self.dry_run = dry_run
        self.warnings = list(warnings)
        self.companions: list[Change] = []
        res = request.resource
        self._kind = None if request.sub else (res.group, res.plural)  # each rule asks for it
        self.goes = (
            False  # whether this write removes the object, and does not only mark it as leaving
        )

    @property
    def name(self) -> str:
        """The name of the object."""
        if self.operation == "CONNECT":
            return self.request.name
        return str((self.obj or self.old or {}).get("metadata", {}).get("name", ""))

    @property
    def namespace(self) -> str:
        """The namespace of the object."""
        return self.request.namespace

    def creates(self, group: str, plural: str) -> bool:
        """Whether this is the creation of an object of a kind."""
        return self.operation == "CREATE" and self._kind == (group, plural)

    def of(self, group: str, plural: str) -> bool:
        """Whether this writes an object of a kind, not one of its subresources."""
        return self._kind == (group, plural)


class Only(NamedTuple):
    """A rule that has nothing to say but of some kinds and their subresources: of others it is not
    asked.
    """

    rule: Rule
    kinds: tuple[Kind, ...]


class _Rules:
    """Rules in order, those that can matter to a kind picked out once."""

    def __init__(self, rules: Iterable[Rule | Only]) -> None:
        every = [rule if isinstance(rule, Only) else Only(rule, ()) for rule in rules]
        self._of_others = [only.rule for only in every if not only.kinds]
        self._of_kind = {
            kind: [only.rule for only in every if not only.kinds or kind in only.kinds]
            for kind in {kind for only in every for kind in only.kinds}
        }

    async def run(self, attempt: Attempt) -> None:
        res = attempt.request.resource
        for rule in self._of_kind.get((res.group, res.plural), self._of_others):
            await rule(attempt)


class Admission:
    """The rules of a server, in order. ``after`` are called when an object has been created,
    changed or removed, ``connecting`` when somebody connects to one.
    """

    def __init__(
        self,
        mutating: Iterable[Rule | Only],
        validating: Iterable[Rule | Only],
        after: Iterable[Rule | Only],
        connecting: Iterable[Rule | Only] = (),
    ) -> None:
        self.mutate = _Rules(mutating).run
        self.validate = _Rules(validating).run
        self.connect = _Rules(connecting).run
        self.after = _Rules(after).run
