"""What a request to the kubelet's server is judged as."""

from __future__ import annotations

import pytest

from kubelite.node.kubelet.server.auth import attributes
from kubelite.node.kubelet.server.http import Request


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/exec/default/p/c", ("create", ("proxy",))),
        ("POST", "/run/default/p/c", ("create", ("proxy",))),
        ("GET", "//attach/default/p/c", ("create", ("proxy",))),
        ("GET", "/portForward/default/p", ("create", ("proxy",))),
        ("GET", "/containerLogs/default/p/c", ("get", ("proxy",))),
        ("GET", "/pods", ("get", ("pods", "proxy"))),
        ("GET", "/metrics/cadvisor", ("get", ("metrics",))),
    ],
)
def test_what_leads_into_containers_is_no_reading(
    method: str, path: str, expected: tuple[str, tuple[str, ...]]
) -> None:
    assert attributes(Request(method, path, {}, {}, b"", None)) == expected
