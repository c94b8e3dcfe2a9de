"""Reads the files of the host that pods inherit: hosts, name servers, hostname."""

from __future__ import annotations

import os

from kubelite.node.network.resolver import HostFiles, is_loopback, parse

_UPSTREAM = "/run/systemd/resolve/resolv.conf"


def read_host_files() -> HostFiles:
    """The current texts of the host; missing files are empty."""
    resolv = _text("/etc/resolv.conf")
    stub = any(map(is_loopback, parse(resolv).servers))
    return HostFiles(
        _text("/etc/hosts"), resolv, _text(_UPSTREAM) if stub else "", os.uname().nodename
    )


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return ""
