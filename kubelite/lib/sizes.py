"""Bytes as people read them. Pure."""

from __future__ import annotations


def shown(count: int) -> str:
    """Bytes in decimal units with three digits: ``512 B``, ``1.50 kB``, ``12.3 MB``."""
    if count < 1000:
        return f"{count} B"
    value, unit = float(count), "B"
    for unit in ("kB", "MB", "GB", "TB"):  # noqa: B007 - the last one stays when nothing fits
        value /= 1000
        if value < 999.5:
            break
    digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{digits}f} {unit}"
