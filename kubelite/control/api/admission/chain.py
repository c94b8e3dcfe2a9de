"""What admission rules share: the write on its way to the store, and the list of rules it passes.

A rule takes an :class:`Attempt` and returns; it refuses by raising StatusError, changes the object
in place, adds warnings, or adds companions: changes that are committed with the object or not at
all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request
    from kubelite.control.store.types import Change

    Rule = Callable[["Attempt"], Awaitable[None]]


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


class Admission:
    """The rules of a server, in order. ``after`` are called when an object has been created,
    changed or removed, ``connecting`` when somebody connects to one.
    """

    def __init__(
        self,
        mutating: Sequence[Rule],
        validating: Sequence[Rule],
        after: Sequence[Rule],
        connecting: Sequence[Rule] = (),
    ) -> None:
        self._mutating = mutating
        self._validating = validating
        self._connecting = connecting
        self._after = after

    async def mutate(self, attempt: Attempt) -> None:
        for rule in self._mutating:
            await rule(attempt)

    async def validate(self, attempt: Attempt) -> None:
        for rule in self._validating:
            await rule(attempt)

    async def connect(self, attempt: Attempt) -> None:
        for rule in self._connecting:
            await rule(attempt)

    async def after(self, attempt: Attempt) -> None:
        for rule in self._after:
            await rule(attempt)
