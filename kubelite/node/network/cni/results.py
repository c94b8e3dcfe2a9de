"""What a CNI plug-in answers (CNI specification, section 5). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from kubelite.node.network.cni.config import Network
from kubelite.node.network.errors import PluginFailed
from kubelite.node.network.names import POD_INTERFACE

INCOMPATIBLE, _TRY_LATER = 1, 11
"""Codes of errors (CNI specification, section 5)."""
_HINTS = {
    INCOMPATIBLE: "change cniVersion in {path}, or install plug-ins of that version",
    _TRY_LATER: "the plug-in asks to try again later",
}
_MAX_WORDS = 500


class Addresses(NamedTuple):
    """A pod's addresses without their prefixes, in the order of the result, the gateway of the
    first, "" where it has none, and the interfaces that the plug-ins have made or used on the host.
    """

    of_pod: tuple[str, ...]
    gateway: str
    host_interfaces: tuple[str, ...] = ()


def decode(network: Network, kind: str, output: bytes) -> dict[str, Any]:
    """The result of ADD. Raises PluginFailed for what is no object."""
    try:
        return msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise PluginFailed(
            f"CNI plug-in {kind} of network {network.name} answers with no result: {error}"
        ) from None


def addresses(network: Network, result: Mapping[str, Any]) -> Addresses:
    """The addresses of the pod's interface in the last plug-in's result. Raises PluginFailed where
    it has none.
    """
    interfaces = result.get("interfaces") or []
    entries = [entry for entry in result.get("ips") or [] if _is_of_pod(entry, interfaces)]
    texts = tuple(str(entry.get("address", "")).partition("/")[0] for entry in entries)
    if not any(texts):
        raise PluginFailed(
            f"CNI network {network.name} gives the pod no address: the result of its plug-ins has "
            f"no ips for {POD_INTERFACE}",
            hint=f"its first plug-in needs an ipam section: {network.path}",
        )
    on_host = [interface for interface in interfaces if not interface.get("sandbox")]
    return Addresses(
        tuple(filter(None, texts)),
        str(entries[0].get("gateway", "")),
        tuple(str(interface["name"]) for interface in on_host if interface.get("name")),
    )


def _is_of_pod(entry: Mapping[str, Any], interfaces: list[Mapping[str, Any]]) -> bool:
    index = entry.get("interface")
    if not isinstance(index, int) or not 0 <= index < len(interfaces):
        return True
    interface = interfaces[index]
    return bool(interface.get("sandbox")) and interface.get("name") == POD_INTERFACE


def failure(network: Network, kind: str, command: str, output: bytes, log: bytes) -> PluginFailed:
    """The error of a plug-in that has exited with a failure: its own words where it has printed
    them as it should, else the end of what it has printed.
    """
    where = f"CNI plug-in {kind} of network {network.name} has failed to {command}"
    try:
        error = msgspec.json.decode(output, type=dict[str, Any])
    except msgspec.DecodeError:
        lines = (log.strip() or output.strip()).decode(errors="replace").splitlines()
        return PluginFailed(f"{where}: {_one_line(lines[-1]) if lines else 'it says nothing'}")
    words = [str(error[key]) for key in ("msg", "details") if error.get(key)]
    code = error.get("code")
    code = code if isinstance(code, int) else 0
    reason = _one_line("; ".join(words)) or "it says nothing"
    hint = _HINTS.get(code, "").format(path=network.path)
    return PluginFailed(f"{where}: {reason} (code {code})", hint=hint, code=code)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_WORDS]
