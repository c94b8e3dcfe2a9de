"""What annotations of bandwidth mean."""

from __future__ import annotations

import pytest

from kubelite.node.network.bandwidth import EGRESS, INGRESS, Bandwidth, burst, requested
from kubelite.node.network.errors import NetworkError


def test_amounts_are_bits_a_second():
    assert requested(None) == requested({"other": "1"}) == Bandwidth(0, 0)
    assert requested({INGRESS: "8M", EGRESS: "1Ki"}) == Bandwidth(1_000_000, 128)


@pytest.mark.parametrize("text", ["999", "2P", "fast", "-1M"])
def test_what_is_no_bandwidth(text):
    with pytest.raises(NetworkError, match=r"annotation kubernetes\.io/egress"):
        requested({EGRESS: text})


def test_a_burst_is_a_tenth_of_a_second_within_bounds():
    assert [burst(rate) for rate in (1000, 10**7, 10**13)] == [1 << 16, 10**6, 1 << 30]
