"""The CSI drivers that have registered with this node, and calls to them by gRPC.

grpcio is an extra: without it no driver registers, and each call says what to install.
"""

from __future__ import annotations

import os
from typing import Any

import msgspec

from kubelite.lib.files import RecordError, read_record
from kubelite.node.volume.csi import paths
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.facts.protobuf import reader, writer

_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
"""A driver that was not there a moment ago is connected to at once: no wait of another call's."""
SECONDS = 120.0
"""How long a driver may take for a call, as in the kubelet."""
QUICK_SECONDS = 10.0
"""For what a driver says of itself, which takes no work."""
_QUICK = frozenset(
    (
        "GetInfo",
        "NotifyRegistrationStatus",
        "NodeGetInfo",
        "GetPluginCapabilities",
        "ControllerGetCapabilities",
        "NodeGetCapabilities",
    )
)
_ANSWERS = {
    "GetInfo": "PluginInfo",
    "NotifyRegistrationStatus": "RegistrationStatusResponse",
}
_REQUESTS = {"GetInfo": "InfoRequest", "NotifyRegistrationStatus": "RegistrationStatus"}


class RegisteredDriver(msgspec.Struct, frozen=True):
    """A driver of this node, the socket of its CSI services, and that of its registration."""

    name: str
    socket: str
    node_id: str
    registration: str


def registrations(root: str) -> int:
    """A number that is another one after each registration."""
    try:
        return os.stat(paths.drivers(root)).st_mtime_ns
    except FileNotFoundError:
        return 0


class GrpcMissing(VolumeError):
    """grpcio is not installed."""


class DriverError(VolumeError):
    """A driver has refused a call or cannot be reached; ``code`` is gRPC's, "NotFound"."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {detail}")
        self.code = code


def registered(root: str, name: str) -> RegisteredDriver:
    """The driver of this name. Raises VolumeError where there is none, GrpcMissing."""
    require_grpc()
    try:
        return read_record(f"{paths.drivers(root)}/{name}", RegisteredDriver)
    except (FileNotFoundError, RecordError):
        raise VolumeError(
            f"driver name {name} not found in the list of registered CSI drivers"
        ) from None


def require_grpc() -> Any:
    """The module grpc. Raises GrpcMissing where it is not installed."""
    try:
        import grpc
    except ImportError:
        raise GrpcMissing(
            "volumes of CSI drivers need the Python package grpcio, which is not installed on this "
            'node: pip install "kubelite[csi]"'
        ) from None
    return grpc


def call(socket: str, method: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call, ``csi.v1.Node/NodeGetInfo``; the answer has no fields that are empty. Raises
    DriverError, GrpcMissing.
    """
    grpc = require_grpc()
    service, _, name = method.rpartition("/")
    package = service.rpartition(".")[0]
    asks = f"{package}.{_REQUESTS.get(name, f'{name}Request')}"
    answers = f"{package}.{_ANSWERS.get(name, f'{name}Response')}"
    with grpc.insecure_channel(f"unix:{socket}", options=_OPTIONS) as channel:
        stub = channel.unary_unary(
            f"/{method}",
            request_serializer=lambda document: writer.message(asks, document),
            response_deserializer=lambda data: reader.message(answers, data),
        )
        try:
            seconds = QUICK_SECONDS if name in _QUICK else SECONDS
            answer: dict[str, Any] = stub(request or {}, timeout=seconds)
        except grpc.RpcError as error:
            raise DriverError(_code(error.code().name), error.details()) from None
    return answer


def _code(name: str) -> str:
    """``NOT_FOUND`` as Go writes it, ``NotFound``."""
    return name.title().replace("_", "").replace("Cancelled", "Canceled")


def capabilities(socket: str, side: str) -> frozenset[int]:
    """What the driver's side, "Node" or "Controller", can do. Raises DriverError."""
    answer = call(socket, f"csi.v1.{side}/{side}GetCapabilities")
    return frozenset(
        capability.get("rpc", {}).get("type", 0) for capability in answer.get("capabilities", ())
    )


def services(socket: str) -> frozenset[int]:
    """What the driver is as a whole, by CSI's numbers. Raises DriverError."""
    answer = call(socket, "csi.v1.Identity/GetPluginCapabilities")
    return frozenset(
        capability.get("service", {}).get("type", 0)
        for capability in answer.get("capabilities", ())
    )
