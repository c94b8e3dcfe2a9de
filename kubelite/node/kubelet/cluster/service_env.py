"""Environment variables of Services, as the kubelet sets them in every container. Pure.

Names and values are those of docker links (kubernetes, ``pkg/kubelet/envvars``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def variables(services: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The variables of all Services that have a cluster IP."""
    result: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        address = spec.get("clusterIP", "")
        if address and address != "None" and spec.get("ports"):
            result.update(_of_service(service["metadata"]["name"], address, spec["ports"]))
    return result


def _of_service(name: str, address: str, ports: list[Mapping[str, Any]]) -> dict[str, str]:
    prefix = name.upper().replace("-", "_")
    host = f"[{address}]" if ":" in address else address
    result = {
        f"{prefix}_SERVICE_HOST": address,
        f"{prefix}_SERVICE_PORT": str(ports[0]["port"]),
    }
    for port in ports:
        if port.get("name"):
            label = port["name"].upper().replace("-", "_")
            result[f"{prefix}_SERVICE_PORT_{label}"] = str(port["port"])
    for number, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{host}:{port['port']}"
        if number == 0:
            result[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{port['port']}_{protocol}"
        result |= {
            link: url,
            f"{link}_PROTO": protocol.lower(),
            f"{link}_PORT": str(port["port"]),
            f"{link}_ADDR": address,
        }
    return result
