"""Which network a directory of CNI configuration asks for. Pure.

The format is the CNI specification's ("Section 1: Network configuration format"); that the first
valid file in lexical order counts is what the container runtimes of Kubernetes do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from kubelite.node.network.errors import PluginFailed

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
"""The versions that we speak, oldest first. Before them results had another form."""
ENDINGS = (".conf", ".conflist", ".json")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network: its plug-ins in the order of ADD, each as it stands in the file ``path``."""

    name: str
    version: str
    plugins: tuple[dict[str, Any], ...]
    path: str
    disable_check: bool = False
    disable_gc: bool = False

    def is_at_least(self, version: str) -> bool:
        """Whether the plug-ins are spoken to in this version of the specification or a later."""
        return VERSIONS.index(self.version) >= VERSIONS.index(version)

    def has(self, capability: str) -> bool:
        """Whether any plug-in takes part in the capability."""
        return any((plugin.get("capabilities") or {}).get(capability) for plugin in self.plugins)


class Choice(NamedTuple):
    """The network of a directory, and what is wrong with the files before it."""

    network: Network
    faults: tuple[str, ...]


def choose(directory: str, files: Mapping[str, bytes]) -> Choice:
    """The network of the first valid file. Raises PluginFailed where there is none."""
    faults: list[str] = []
    for name in sorted(files):
        if not name.endswith(ENDINGS):
            continue
        try:
            return Choice(parse(f"{directory}/{name}", files[name]), tuple(faults))
        except PluginFailed as error:
            faults.append(error.message)
    if faults:
        raise PluginFailed(faults[0])
    raise PluginFailed(
        f"no CNI network is configured: {directory} has no file *.conflist, *.conf or *.json",
        hint="the network's own installation puts it there",
    )


def parse(path: str, data: bytes) -> Network:
    """One file: a list of plug-ins, or a single one. Raises PluginFailed."""
    try:
        document = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise PluginFailed(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _invalid(path, "it is not an object")
    plugins = document.get("plugins", [document])
    if not isinstance(plugins, list) or not plugins:
        raise _invalid(path, "plugins must be a list with at least one plug-in")
    for plugin in plugins:
        _check_plugin(path, plugin)
    name = document.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _invalid(path, f"name must be letters, digits, '.', '_' and '-', not {name!r}")
    return Network(
        name=name,
        version=_negotiate(path, document),
        plugins=tuple(plugins),
        path=path,
        disable_check=_is_true(path, document, "disableCheck"),
        disable_gc=_is_true(path, document, "disableGC"),
    )


def _check_plugin(path: str, plugin: Any) -> None:
    kind = plugin.get("type") if isinstance(plugin, dict) else None
    if not isinstance(kind, str) or not _NAME.fullmatch(kind):
        raise _invalid(path, f"the type of a plug-in must be the name of its program, not {kind!r}")
    if not isinstance(plugin.get("capabilities") or {}, dict):
        raise _invalid(path, f"capabilities of plug-in {kind} must be an object")


def _negotiate(path: str, document: Mapping[str, Any]) -> str:
    """The latest version that both the file and we know; what a file without one means is the
    specification's.
    """
    offered = document.get("cniVersions")
    listed: Sequence[Any] = offered if isinstance(offered, list) else ()
    versions = [*listed, document.get("cniVersion", "0.1.0")]
    known = [version for version in VERSIONS if version in versions]
    if not known:
        texts = ", ".join(map(str, dict.fromkeys(versions)))
        raise _invalid(path, f"cniVersion {texts} is not one of {', '.join(VERSIONS)}")
    return known[-1]


def _is_true(path: str, document: Mapping[str, Any], key: str) -> bool:
    """A switch, which may be written as a string."""
    value = document.get(key, False)
    if value not in (True, False, "true", "false"):
        raise _invalid(path, f"{key} must be true or false, not {value!r}")
    return value in (True, "true")


def _invalid(path: str, why: str) -> PluginFailed:
    return PluginFailed(f"{path} is no CNI network configuration: {why}")
