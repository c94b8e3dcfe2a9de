"""``explain``: what an error code means, or a field of the API."""

from __future__ import annotations

import re
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen

_CODE = re.compile(r"[A-Za-z]{2}\d+")


@usage("kubelite explain KL104", "kubelite explain pods.spec.containers")
def explain(
    settings: Settings,
    what: Annotated[
        str, Argument("KLnnn | TYPE[.FIELD...]", "The code of an error, or a type of a cluster.")
    ],
    *,
    recursive: Annotated[bool, Option("--recursive", "All fields of fields, by name.")] = False,
    api_version: Annotated[
        str, Option("--api-version", "This version of the type: apps/v1.", "GROUP/VERSION")
    ] = "",
    kubeconfig: Annotated[
        str | None, Option("--kubeconfig", "How to reach the cluster, for a type.", "FILE")
    ] = None,
    context: Annotated[
        str | None, Option("--context", "Context of the kubeconfig to use.", "NAME")
    ] = None,
) -> int:
    """Prints what a code or field means and what to do. Raises CliError if it does not exist."""
    if not _CODE.fullmatch(what):
        from kubelite.cli.api.common.access import Reach
        from kubelite.cli.api.read.explain import explain_field

        reach = Reach(kubeconfig, context)
        return explain_field(settings, what, reach, recursive=recursive, api_version=api_version)
    from kubelite.cli.common.error_codes import CODES, explained

    page = explained(what)
    if page is None:
        hint = f"codes range from {min(CODES)} to {max(CODES)}"
        raise CliError(Diagnostic(f'there is no error code "{what}"', hint=hint))
    Screen(settings).data(page)
    return 0
