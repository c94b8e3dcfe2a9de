"""``python -m kubelite``: the same as the ``kubelite`` command."""

from __future__ import annotations

from kubelite.cli.main import run

run()
