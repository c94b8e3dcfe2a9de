"""Connects a pod to a CNI network, checks the connection and undoes it.

What was asked for is on record before the first plug-in runs, with the network's configuration of
that moment: an attachment is undone as it was made, whatever the files say by then. Undoing can be
repeated, and is done whenever anything may have been made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import msgspec

from kubelite.lib.files import RecordError, read_record, unlink_missing, write_record
from kubelite.node.network.cni import Directories, plugins, requests, results, stand_in
from kubelite.node.network.cni.config import Network
from kubelite.node.network.cni.requests import ADD, CHECK, DEL, GC, STATUS, PodFacts
from kubelite.node.network.cni.results import Addresses
from kubelite.node.network.errors import NetworkError, PluginFailed
from kubelite.node.network.ports import HostPort


class Attachment(msgspec.Struct, kw_only=True):
    """What is on record of the connection of the pod ``owner``, ``namespace/name``, with its host
    ports. ``holder`` is the process whose network namespace it is, and when it was started.
    ``result`` is that of the last plug-in, None while it is not known.
    """

    version: int = 1
    owner: str
    ports: tuple[HostPort, ...]
    container_id: str
    holder: tuple[int, int]
    network: Network
    bin: str
    args: str
    runtime: dict[str, Any]
    result: dict[str, Any] | None = None

    @property
    def netns(self) -> str:
        """The path of the pod's network namespace, while its holder lives."""
        return f"/proc/{self.holder[0]}/ns/net"


class Connection:
    """The attachment of one pod, with its record at ``path``: the caller holds the pod's lock.
    ``timeout`` is in seconds, for each plug-in. ``trace`` is told each step before it is done.
    """

    def __init__(
        self,
        path: str,
        *,
        timeout: float = plugins.TIMEOUT,
        trace: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._record = path
        self._lock = f"{path}.lock"
        self._timeout = timeout
        self._trace = trace

    def read(self) -> Attachment | None:
        """What is on record, or None. Raises NetworkError for a record that is damaged."""
        try:
            return read_record(self._record, Attachment)
        except FileNotFoundError:
            return None
        except RecordError as error:
            raise NetworkError(
                f"nobody knows any more what CNI plug-ins have made for a pod: {error}",
                hint=f"delete {self._record} to remove the pod without undoing it",
            ) from None

    def add(
        self,
        network: Network,
        directories: Directories,
        pod: PodFacts,
        container_id: str,
        holder: tuple[int, int],
        claim: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Addresses:
        """Connects the pod in the network namespace of ``holder``; what an earlier try has left is
        undone first. ``claim`` is entered while it is put on record, and may refuse it. Raises
        PortRefused, PluginFailed and OSError, with nothing left unless it is on record.
        """
        attachment = Attachment(
            owner=f"{pod.namespace}/{pod.name}",
            ports=pod.ports,
            container_id=container_id,
            holder=holder,
            network=network,
            bin=directories.bin,
            args=requests.arguments(pod, container_id),
            runtime=requests.runtime_config(pod),
        )
        programs = _programs(attachment)
        former = self.read()
        self.delete(former.netns if former is not None and former.holder == holder else "")
        self._trace("record attachment")
        with plugins.hold(directories.conf, exclusive=False):
            with claim():
                write_record(self._record, attachment, durable=True)
            return self._add(attachment, programs)

    def _add(self, attachment: Attachment, programs: list[str]) -> Addresses:
        network = attachment.network
        try:
            with plugins.pod_lock(self._lock) as lock:
                for plugin, program in zip(network.plugins, programs, strict=True):
                    output = self._run(ADD, attachment, plugin, program, lock)
                    attachment.result = results.decode(network, plugin["type"], output)
            addresses = results.addresses(network, attachment.result or {})
            self._trace("record result of the plug-ins")
            write_record(self._record, attachment, durable=True)
        except Exception as error:
            try:
                self.delete(attachment.netns)
            except NetworkError as second:
                error.add_note(f"what was made is not undone yet: {second.message}")
            raise
        return addresses

    def delete(self, netns: str) -> None:
        """Undoes the attachment, if there is one, last plug-in first; ``netns`` is "" where the
        network namespace has gone. Raises NetworkError; then it stays on record.
        """
        attachment = self.read()
        if attachment is None:
            return
        try:
            programs = _programs(attachment)
            with plugins.pod_lock(self._lock) as lock:
                pairs = zip(attachment.network.plugins, programs, strict=True)
                for plugin, program in reversed(list(pairs)):
                    self._undo(attachment, plugin, program, lock, netns)
        except PluginFailed as error:
            raise PluginFailed(
                error.message,
                hint=error.hint or f"delete {self._record} to give up what the plug-in holds",
            ) from None
        self._trace("forget attachment")
        unlink_missing(self._record)
        unlink_missing(self._lock)

    def _undo(
        self,
        attachment: Attachment,
        plugin: dict[str, Any],
        program: str,
        lock: int,
        netns: str,
    ) -> None:
        result = attachment.result
        try:
            if netns or result is None or not stand_in.is_needed(plugin):
                self._run(DEL, attachment, plugin, program, lock, netns)
                return
            with stand_in.namespace(result) as path:
                self._run(DEL, attachment, plugin, program, lock, path)
        except PluginFailed as error:
            # Whoever refuses the version has refused it to ADD as well, which is why that failed.
            if result is not None or error.code != results.INCOMPATIBLE:
                raise

    def check(self) -> None:
        """Asks the plug-ins whether the attachment is as it should be; nothing where they cannot
        tell. Raises NetworkError for the first that says no.
        """
        attachment = self.read()
        if attachment is None or attachment.result is None:
            return
        network = attachment.network
        if network.disable_check or not network.is_at_least("0.4.0"):
            return
        with plugins.pod_lock(self._lock) as lock:
            for plugin, program in zip(network.plugins, _programs(attachment), strict=True):
                self._run(CHECK, attachment, plugin, program, lock, attachment.netns)

    def _run(
        self,
        command: str,
        attachment: Attachment,
        plugin: dict[str, Any],
        program: str,
        lock: int,
        netns: str | None = None,
    ) -> bytes:
        network, kind = attachment.network, plugin["type"]
        self._trace(f"CNI {command} {kind}")
        previous = attachment.result
        if command != ADD and not network.is_at_least("0.4.0"):
            previous = None
        config = requests.plugin_config(network, plugin, attachment.runtime, previous)
        variables = requests.environment(
            command,
            attachment.bin,
            attachment.container_id,
            attachment.args,
            attachment.netns if netns is None else netns,
        )
        return plugins.run(network, program, variables, config, lock=lock, timeout=self._timeout)


def check_status(directories: Directories) -> None:
    """Whether pods can be connected: the configuration is valid, its plug-ins are there, and those
    that know STATUS (version 1.1) are ready. Raises PluginFailed.
    """
    network = plugins.read_network(directories.conf).network
    for plugin in network.plugins:
        program = plugins.find(network, plugin["type"], directories.bin)
        if network.is_at_least("1.1.0"):
            config = requests.plugin_config(network, plugin)
            variables = {"CNI_COMMAND": STATUS, "CNI_PATH": directories.bin}
            plugins.run(network, program, variables, config)


def collect_garbage(
    directories: Directories, list_container_ids: Callable[[], Iterable[str]]
) -> list[str]:
    """Tells plug-ins that know GC (version 1.1) which attachments there are: they remove all
    others. Returns a sentence for each that has failed. Raises PluginFailed for an invalid
    configuration, and what the list raises.
    """
    network = plugins.read_network(directories.conf).network
    if network.disable_gc or not network.is_at_least("1.1.0"):
        return []
    with plugins.hold(directories.conf, exclusive=True):
        return _collect(network, directories.bin, list(list_container_ids()))


def _collect(network: Network, bin: str, valid: list[str]) -> list[str]:
    problems = []
    for plugin in network.plugins:
        config = requests.collection_config(network, plugin, valid)
        try:
            program = plugins.find(network, plugin["type"], bin)
            variables = {"CNI_COMMAND": GC, "CNI_PATH": bin}
            plugins.run(network, program, variables, config)
        except PluginFailed as error:
            problems.append(error.message)
    return problems


def _programs(attachment: Attachment) -> list[str]:
    """The programs of all plug-ins, looked up before the first one runs. Raises PluginFailed."""
    network = attachment.network
    return [plugins.find(network, plugin["type"], attachment.bin) for plugin in network.plugins]
