"""Opens a page in the user's browser without showing its address to other users."""

from __future__ import annotations

import html
import os
import threading
import webbrowser

_PAGE = '<!doctype html><meta http-equiv="refresh" content="0; url={address}">\n'


def has_browser() -> bool:
    """Whether a browser of this user can be expected: that of BROWSER, or one on a display. None is
    started as root, where it would run without its sandbox.
    """
    on_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return bool(os.environ.get("BROWSER")) or (on_display and os.geteuid() != 0)


def open_page(address: str, directory: str) -> None:
    """Lets a browser follow a file in ``directory``, which only this user can read: a command line
    with the address, and its token, could be read by everybody. Returns at once. Raises OSError.
    """
    path = os.path.join(directory, "open.html")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(_PAGE.format(address=html.escape(address)))
    threading.Thread(target=webbrowser.open, args=(f"file://{path}",), daemon=True).start()
