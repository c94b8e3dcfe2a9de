"""Certificates by the host name that a client asks for (server name indication)."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from typing import NamedTuple


class Pair(NamedTuple):
    """A certificate with its chain, and its key, in PEM."""

    certificate: bytes
    key: bytes


class Certificates:
    """A TLS server's context whose certificates can be replaced while it serves."""

    def __init__(self) -> None:
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._known: dict[str, Pair] = {}
        self.context = _context()
        self.context.sni_callback = self._choose

    def replace(self, pairs: Mapping[str, Pair]) -> dict[str, str]:
        """Serves these pairs by host; ``*.example.com`` stands for one more label, "" for hosts
        without one. Returns why, by host, those that cannot be read are left out.
        """
        problems: dict[str, str] = {}
        contexts: dict[str, ssl.SSLContext] = {}
        for host, pair in pairs.items():
            if self._known.get(host) == pair and host in self._contexts:
                contexts[host] = self._contexts[host]
                continue
            context = _context()
            try:
                _load(context, pair)
            except (ssl.SSLError, ValueError) as error:
                problems[host] = str(error)
            else:
                contexts[host] = context
        self._contexts, self._known = contexts, dict(pairs)
        return problems

    def _choose(
        self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> int | None:
        """Whoever asks for a host without a certificate gets no connection."""
        host = (name or "").lower()
        for candidate in (host, f"*.{host.partition('.')[2]}", ""):
            if candidate in self._contexts:
                connection.context = self._contexts[candidate]
                return None
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """The ssl module reads files only: this one has no name. Raises SSLError."""
    descriptor = os.memfd_create("certificate")
    try:
        os.write(descriptor, pair.certificate + b"\n" + pair.key)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    finally:
        os.close(descriptor)


def _no_password() -> str:
    raise ValueError("the key has a password")
