"""What a built-in kind may say of itself: one declaration with everything that is special about it.
Pure.

A family of kinds (``kinds/service.py``, ``kinds/batch.py``, ...) ends in a table ``KINDS`` of these
by (group, kind); ``kinds/registry.py`` puts the tables together. What a kind leaves out it has in
common with all kinds (``control/api/strategy``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from kubelite.control.api.tables.columns import NAME_AND_AGE, Column
from kubelite.control.api.tables.text import name_and_age
from kubelite.control.api.wire.status import Cause
from kubelite.lib.json import Object
from kubelite.objects.facts import names

Check = Callable[[Object], Iterator[Cause]]
CheckUpdate = Callable[[Object, Object], Iterator[Cause]]
Prepare = Callable[[Object], None]
PrepareUpdate = Callable[[Object, Object], Object]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is special about one kind, in the order in which a write meets it.

    Reading:

    - ``defaults(struct)`` fills the fields that a client left out, in place. The struct is the
      kind's own of ``schema/structs``.
    - ``document_defaults(document)`` does the same with the document that this gives.
    - ``convert(document, group_version)`` gives the object in another version of its API.

    Metadata:

    - ``name(text)`` lists what is wrong with a name; ``max_name`` is its longest length.
    - ``any_finalizer``: a finalizer may be a plain word, which older kinds refuse.
    - ``has_generation``: ``metadata.generation`` counts the changes of the specification, from
      ``first_generation`` on, and those of its ``counted_metadata``; it never changes unless
      ``generation_counts``.

    Preparing:

    - ``initial_status(document)`` is the status of a new object; without it the kind's empty one.
    - ``keeps_status``: a client may give the status of a new object.
    - ``status_metadata``: what a write to ``status`` may change of the metadata.
    - ``never_owned``: fields of an object that belong to no manager, beside the status.
    - ``prepare_create(document)`` adds what the server writes into a new object, in place.
    - ``prepare_update(new, old)`` gives the new state as far as a client may change it.
    - ``prepare_subresource``: the same for a subresource other than ``status``.

    Checking:

    - ``check(document)`` yields what is wrong with the contents.
    - ``check_create(document)`` does so for new objects only, before that if ``creation_first``.
    - ``check_update(new, old)`` yields what changed and may not; ``changes_first``: before what is
      wrong with the new contents.
    - ``check_subresource``: the same for a write to a subresource.
    - ``values``: by definition of the schema table and by field, the values that a text may have.
    - ``may_be_empty``: fields that the schema requires and that may be empty all the same, or of
      which ``check`` says what is wrong; ``storage.v1.CSINodeDriver.*`` for all of a definition.

    Answering:

    - ``refused_without_group``: the refusal of a wrong object names its kind, and no group.
    - ``warnings(document)`` yields what a client is told of a new object, and of a changed one
      where it ``warns_on_update``.
    - ``sent_warnings(document)`` yields what is told of a new object as it was sent, even when it
      is refused.
    - ``warned_once``: of a changed object only that is told which was not true before.
    - ``warned_change``: a changed object is warned of only where this field has changed.
    - ``deprecation`` is told with every answer about objects of the kind.
    - ``field_annotations``: annotations that only the object as a whole has, not its metadata.
    - ``hostname_use``: what the name becomes a host name of, where it does.
    - ``columns`` and ``cells(document, now)``: the row of ``kubectl get``.
    - ``row_conditions(document)``: marks of a row (a pod that has ended).
    - ``selectable``: fields of field selectors, beside name and namespace.
    - ``unselectable``: the refusal of another field, where the kind has a sentence of its own.

    Verbs:

    - ``created_by_update``: a PUT may create an object.
    - ``unconditional_update``: a PUT need not say which state it changes (``resourceVersion``).
    - ``returned_on_delete``: DELETE answers with the object, not with a Status.
    - ``orphans_dependents``: a DELETE that does not say leaves the dependents alone.
    - ``deletion_warning`` is told with a DELETE that does not say what becomes of dependents.
    """

    defaults: Callable[[Any], None] | None = None
    document_defaults: Callable[[Object], None] | None = None
    convert: Callable[[Object, str], Object] | None = None
    name: Callable[[str], list[str]] = names.subdomain
    max_name: int = 0
    any_finalizer: bool = False
    has_generation: bool = False
    first_generation: int = 1
    generation_counts: bool = True
    counted_metadata: tuple[str, ...] = ()
    initial_status: Callable[[Object], Object] | None = None
    keeps_status: bool = False
    status_metadata: tuple[str, ...] = ("annotations", "finalizers", "labels", "ownerReferences")
    never_owned: tuple[str, ...] = ()
    prepare_create: Prepare | None = None
    prepare_update: PrepareUpdate | None = None
    prepare_subresource: Mapping[str, PrepareUpdate] = {}
    check: Check | None = None
    check_create: Check | None = None
    check_update: CheckUpdate | None = None
    changes_first: bool = False
    creation_first: bool = False
    check_subresource: Mapping[str, CheckUpdate] = {}
    values: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
    may_be_empty: tuple[str, ...] = ()
    refused_without_group: bool = False
    warnings: Callable[[Object], Iterator[str]] | None = None
    warns_on_update: bool = True
    sent_warnings: Callable[[Object], Iterator[str]] | None = None
    warned_once: bool = False
    warned_change: str = ""
    deprecation: str = ""
    field_annotations: tuple[str, ...] = ()
    hostname_use: str = ""
    columns: tuple[Column, ...] = NAME_AND_AGE
    cells: Callable[[Object, datetime], list[Any]] = name_and_age
    row_conditions: Callable[[Object], list[Object]] | None = None
    selectable: tuple[str, ...] = ()
    unselectable: str = ""
    created_by_update: bool = False
    unconditional_update: bool = True
    returned_on_delete: bool = False
    orphans_dependents: bool = False
    deletion_warning: str = ""


def initial_phase(phase: str) -> Callable[[Object], Object]:
    """The ``initial_status`` of a kind of which only a phase is known at first."""
    return lambda obj: {"phase": phase}
