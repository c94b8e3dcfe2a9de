"""The two admission rules that carry out what users have configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission.dynamic import matching, policies, webhooks
from kubelite.control.api.admission.dynamic.configured import Configured
from kubelite.control.api.admission.dynamic.review import namespace_of
from kubelite.control.api.wire.documents import load

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt

_UNMATCHED = ("scale", "binding")  # their objects are not the stored ones


class DynamicAdmission:
    """Policies first, then webhooks, as the servers order them."""

    def __init__(self) -> None:
        self._configured = Configured()

    async def mutate(self, attempt: Attempt) -> None:
        """Mutating policies and webhooks. Raises StatusError."""
        await self._configured.refresh(attempt.context.store)
        kinds = ("mutatingadmissionpolicybindings", "mutatingwebhookconfigurations")
        if not self._applies(attempt, kinds):
            return
        await policies.mutate(self._configured, attempt, await _write(attempt))
        await webhooks.mutate(self._configured, attempt, await _write(attempt))

    async def validate(self, attempt: Attempt) -> None:
        """Validating policies and webhooks. Raises StatusError."""
        await self._configured.refresh(attempt.context.store)
        kinds = ("validatingadmissionpolicybindings", "validatingwebhookconfigurations")
        if not self._applies(attempt, kinds):
            return
        write = await _write(attempt)
        await policies.validate(self._configured, attempt, write)
        await webhooks.validate(self._configured, attempt, write)

    def _applies(self, attempt: Attempt, kinds: tuple[str, ...]) -> bool:
        if not self._configured.any(kinds):
            return False
        request = attempt.request
        return not matching.is_exempt(request.resource) and request.sub not in _UNMATCHED


async def _write(attempt: Attempt) -> matching.Write:
    """The write with the labels of its namespace. Raises StoreError."""
    name, res = namespace_of(attempt), attempt.request.resource
    labels: dict[str, str] | None = None
    if name == attempt.name and not res.namespaced and name:
        labels = ((attempt.obj or attempt.old or {}).get("metadata") or {}).get("labels") or {}
    elif name:
        entry = await attempt.context.store.get("namespaces", "", name)
        obj = load(entry) if entry is not None else {"metadata": {}}
        labels = obj["metadata"].get("labels") or {}
    return matching.Write(
        attempt.operation,
        res,
        attempt.request.sub,
        attempt.name,
        name,
        attempt.obj or None,
        attempt.old,
        labels,
    )
