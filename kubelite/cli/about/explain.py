"""``explain``: what an error code means."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen


@usage("kubelite explain KL104")
def explain(
    settings: Settings,
    code: Annotated[str, Argument("KLnnn", "The code in brackets at the end of an error.")],
) -> int:
    """Prints what a code means and what to do. Raises CliError if it does not exist."""
    from kubelite.cli.common.error_codes import CODES, explained

    page = explained(code)
    if page is None:
        hint = f"codes range from {min(CODES)} to {max(CODES)}"
        raise CliError(Diagnostic(f'there is no error code "{code}"', hint=hint))
    Screen(settings).data(page)
    return 0
