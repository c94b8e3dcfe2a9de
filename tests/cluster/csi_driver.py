"""A CSI driver whose volumes are directories: a real program that serves its calls on Unix sockets
and mounts with mount(8). It can be told to die by SIGKILL in the middle of its work.

``<state>/die`` has a line for each death, ``NodeStageVolume before`` or ``... after``; the first
call that fits takes it out and dies. ``<state>/calls`` has a line for each call that has begun.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from kubelite.objects.facts.protobuf import reader, writer

NAME = "dir.csi.test"
Message = dict[str, Any]


class Refused(Exception):
    """A call is answered with a code and a sentence."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code


class Driver:
    """One method for each call, named after it."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root, self.state = root, state
        self.lock = threading.Lock()

    # -- registration and identity -----------------------------------------------------------------

    def GetInfo(self, request: Message) -> Message:  # noqa: N802
        endpoint = str(sockets(self.root)[1])
        return {"type": "CSIPlugin", "name": NAME, "endpoint": endpoint} | {
            "supported_versions": ["1.0.0"]
        }

    def NotifyRegistrationStatus(self, request: Message) -> Message:  # noqa: N802
        return {}

    def GetPluginCapabilities(self, request: Message) -> Message:  # noqa: N802
        return {"capabilities": [{"service": {"type": 1}}, {"service": {"type": 2}}]}

    # -- the node ----------------------------------------------------------------------------------

    def NodeGetInfo(self, request: Message) -> Message:  # noqa: N802
        topology = {"segments": {"topology.csi.test/shelf": "one"}}
        return {
            "node_id": "node-of-dirs",
            "max_volumes_per_node": 7,
            "accessible_topology": topology,
        }

    def NodeGetCapabilities(self, request: Message) -> Message:  # noqa: N802
        return {"capabilities": [{"rpc": {"type": kind}} for kind in (1, 3)]}

    def NodeStageVolume(self, request: Message) -> Message:  # noqa: N802
        if self.volume(request["volume_id"]).is_dir():
            bind(self.volume(request["volume_id"]), request["staging_target_path"])
            return {}
        raise Refused(grpc.StatusCode.NOT_FOUND, f"no volume {request['volume_id']}")

    def NodeUnstageVolume(self, request: Message) -> Message:  # noqa: N802
        unmount(request["staging_target_path"])
        return {}

    def NodePublishVolume(self, request: Message) -> Message:  # noqa: N802
        if "block" in request["volume_capability"]:
            return self.publish_device(request)
        source = request.get("staging_target_path")
        if source is None:
            volume = self.volume(request["volume_id"])
            volume.mkdir(parents=True, exist_ok=True)
            volume.joinpath("context").write_text(json.dumps(request.get("volume_context")))
            volume.joinpath("secrets").write_text(json.dumps(request.get("secrets")))
            source = str(volume)
        Path(request["target_path"]).mkdir(exist_ok=True)
        bind(Path(source), request["target_path"])
        return {}

    def publish_device(self, request: Message) -> Message:
        """The file ``disk`` of the volume as a loop device."""
        disk = str(self.volume(request["volume_id"]) / "disk")
        words = ["losetup", "--noheadings", "--output", "NAME", "--associated", disk]
        device = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        if not device:
            words = ["losetup", "--find", "--show", disk]
            device = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        Path(request["target_path"]).touch()
        bind(Path(device.strip()), request["target_path"])
        return {}

    def NodeUnpublishVolume(self, request: Message) -> Message:  # noqa: N802
        unmount(request["target_path"])
        disk = self.volume(request["volume_id"]) / "disk"
        if disk.exists():
            words = ["losetup", "--noheadings", "--output", "NAME", "--associated", str(disk)]
            found = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            for device in found.split():
                subprocess.run(["losetup", "--detach", device], check=True)
        if request["volume_id"].startswith("csi-"):
            subprocess.run(["rm", "-rf", str(self.volume(request["volume_id"]))], check=True)
        return {}

    def volume(self, handle: str) -> Path:
        return self.state / "volumes" / handle

    # -- the controller ----------------------------------------------------------------------------

    def ControllerGetCapabilities(self, request: Message) -> Message:  # noqa: N802
        return {"capabilities": [{"rpc": {"type": kind}} for kind in (1, 2, 9)]}

    def CreateVolume(self, request: Message) -> Message:  # noqa: N802
        if request.get("parameters", {}).get("colour") == "none":
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "there is no such colour")
        handle = f"made-{request['name']}"
        self.volume(handle).mkdir(parents=True, exist_ok=True)
        volume = {
            "volume_id": handle,
            "capacity_bytes": request["capacity_range"]["required_bytes"],
            "volume_context": request.get("parameters", {}),
            "accessible_topology": request["accessibility_requirements"]["requisite"],
        }
        return {"volume": volume}

    def DeleteVolume(self, request: Message) -> Message:  # noqa: N802
        if self.attached(request["volume_id"]).exists():
            raise Refused(grpc.StatusCode.FAILED_PRECONDITION, "it is attached")
        subprocess.run(["rm", "-rf", str(self.volume(request["volume_id"]))], check=True)
        return {}

    def ControllerPublishVolume(self, request: Message) -> Message:  # noqa: N802
        self.attached(request["volume_id"]).write_text(request["node_id"])
        return {"publish_context": {"slot": "3"}}

    def ControllerUnpublishVolume(self, request: Message) -> Message:  # noqa: N802
        self.attached(request["volume_id"]).unlink(missing_ok=True)
        return {}

    def ControllerExpandVolume(self, request: Message) -> Message:  # noqa: N802
        size = request["capacity_range"]["required_bytes"]
        return {"capacity_bytes": size, "node_expansion_required": True}

    def NodeExpandVolume(self, request: Message) -> Message:  # noqa: N802
        size = request["capacity_range"]["required_bytes"]
        Path(request["volume_path"], "size").write_text(str(size))
        return {"capacity_bytes": size}

    def attached(self, handle: str) -> Path:
        return self.state / f"attached-{handle}"

    # -- the wire ----------------------------------------------------------------------------------

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        service, _, name = details.method.lstrip("/").rpartition("/")
        work = getattr(self, name, None)
        if work is None:
            return None
        package = service.rpartition(".")[0]
        asks, answers = (f"{package}.{kind}" for kind in names(name))
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.carry_out(name, work, request, context),
            request_deserializer=lambda data: reader.message(asks, data),
            response_serializer=lambda document: writer.message(answers, document),
        )

    def carry_out(
        self, name: str, work: Callable[[Message], Message], request: Message, context: Any
    ) -> Message:
        with self.lock:
            with open(self.state / "calls", "a") as file:
                file.write(f"{name} {json.dumps(request)}\n")
            self.die(f"{name} before")
            try:
                answer = work(request)
            except Refused as refused:
                context.abort(refused.code, str(refused))
            self.die(f"{name} after")
            return answer

    def die(self, moment: str) -> None:
        path = self.state / "die"
        deaths = path.read_text().splitlines() if path.exists() else []
        if moment in deaths:
            deaths.remove(moment)
            path.write_text("\n".join(deaths))
            os.kill(os.getpid(), signal.SIGKILL)


def names(method: str) -> tuple[str, str]:
    """The types of a call's request and answer."""
    if method == "GetInfo":
        return "InfoRequest", "PluginInfo"
    if method == "NotifyRegistrationStatus":
        return "RegistrationStatus", "RegistrationStatusResponse"
    return f"{method}Request", f"{method}Response"


def sockets(root: Path) -> tuple[Path, Path]:
    """The sockets of registration and of the driver."""
    return root / "plugins_registry" / "d-reg.sock", root / "plugins" / "d" / "csi.sock"


def is_mounted(path: str) -> bool:
    return any(line.split()[4] == path for line in open("/proc/self/mountinfo"))


def bind(source: Path, target: str) -> None:
    if not is_mounted(target):
        subprocess.run(["mount", "--bind", str(source), target], check=True)


def unmount(target: str) -> None:
    while is_mounted(target):
        subprocess.run(["umount", target], check=True)
    if os.path.isdir(target):
        os.rmdir(target)
    elif os.path.exists(target):
        os.unlink(target)


def main(root: Path, state: Path) -> None:
    driver = Driver(root, state)
    server = grpc.server(ThreadPoolExecutor(4), handlers=(driver,))
    for socket in reversed(sockets(root)):  # what is registered answers already
        socket.parent.mkdir(parents=True, exist_ok=True)
        socket.unlink(missing_ok=True)
        server.add_insecure_port(f"unix:{socket}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
