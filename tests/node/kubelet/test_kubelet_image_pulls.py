"""The waits between pulls that fail, and the events of pulls; the numbers are the kubelet's."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubelite.node.image.errors import PullError
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.act import images
from kubelite.node.kubelet.act.images import ImagePulls, NamedImage
from kubelite.node.kubelet.decide.image_pulls import (
    FIRST_EVENT,
    PullReports,
    after_failure,
    backs_off,
    go_duration,
    pulled,
)
from kubelite.node.kubelet.decide.node_config import NodeConfig
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import CREATION_FAILURES


def test_the_wait_doubles_up_to_five_minutes_and_is_forgotten_after_ten() -> None:
    now, failed, waits = 0, None, []
    for _ in range(8):
        failed = after_failure(failed, now, "")
        waits.append(failed.backoff // SECOND)
        assert backs_off(failed, now + failed.backoff - 1)
        now += failed.backoff
        assert not backs_off(failed, now)
    assert waits == [10, 20, 40, 80, 160, 300, 300, 300]
    assert failed is not None
    assert after_failure(failed, failed.at + 600 * SECOND, "").backoff == 300 * SECOND
    assert after_failure(failed, failed.at + 600 * SECOND + 1, "").backoff == 10 * SECOND


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.3931, "393ms"), (1.5, "1.5s"), (12, "12s"), (60.25, "1m0.25s"),
     (3725.001, "1h2m5.001s")],
)  # fmt: skip
def test_durations_are_those_of_go(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text


def test_a_pull_says_how_long_it_took_and_waited() -> None:
    assert pulled("a:1", 1.25, 0.5, 77) == (
        'Successfully pulled image "a:1" in 1.25s (1.75s including waiting). Image size: 77 bytes.'
    )


def test_a_long_pull_is_shown_each_second_and_announced_ever_less_often() -> None:
    reports = PullReports(100.0)
    times = [100 + tenth / 10 for tenth in range(1, 1300)]
    assert sum(map(reports.shows, times)) == pytest.approx(129, abs=12)
    assert [at - 100 for at in times if reports.announces(at)] == [10, 30, 70]
    assert FIRST_EVENT == 10


@pytest.mark.parametrize(
    ("settings", "at_once"),
    [
        ({}, 1),
        ({"serializeImagePulls": False}, None),
        ({"serializeImagePulls": False, "maxParallelImagePulls": 3}, 3),
        ({"serializeImagePulls": True, "maxParallelImagePulls": 1}, 1),
    ],
)
def test_how_many_pulls_the_settings_allow(settings: dict[str, Any], at_once: int | None) -> None:
    assert msgspec.convert(settings, NodeConfig).pulls_at_once == at_once


@pytest.mark.parametrize(
    "settings",
    [{"maxParallelImagePulls": 2}, {"serializeImagePulls": False, "maxParallelImagePulls": 0}],
)
def test_settings_of_pulls_that_contradict_each_other(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match="maxParallelImagePulls"):
        msgspec.convert(settings, NodeConfig)


class Announced(list[tuple[str, str, str, bool]]):
    def __call__(self, reason: str, message: str, container: str, is_warning: bool) -> None:
        self.append((reason, message, container, is_warning))


@pytest.fixture
def nobody() -> str:
    """An image of a registry where nobody listens; that is noticed at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}/app:1"


def test_a_failed_pull_waits_and_is_tried_again(
    tmp_path: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kubelite.node.image.registry.connection.FIRST_DELAY", 0.0)
    clock = [100 * SECOND]
    monkeypatch.setattr(images, "boottime", lambda: clock[0])
    announced = Announced()
    pulls, source = ImagePulls(announced), ImageSource(ImageStore(tmp_path))
    wanted = NamedImage(nobody, "IfNotPresent", "web")

    def failure() -> PullError:
        announced.clear()
        with pytest.raises(PullError) as caught:
            pulls.get(Home(str(tmp_path)), source, wanted)
        return caught.value

    first = failure()
    cause = f'failed to pull image "{nobody}": '
    assert first.reason == "ErrImagePull" and first.message.startswith(cause)
    assert announced == [
        ("Pulling", f'Pulling image "{nobody}"', "web", False),
        ("Failed", "F" + first.message[1:], "web", True),
        ("Failed", "Error: ErrImagePull", "web", True),
    ]
    assert pulls.next_look == clock[0] + SECOND
    clock[0] += 9 * SECOND
    second = failure()
    assert second.reason == "ImagePullBackOff"
    assert {first.reason, second.reason} <= set(CREATION_FAILURES)
    assert second.message == f'Back-off pulling image "{nobody}": ErrImagePull: {first.message}'
    assert announced == [
        ("BackOff", f'Back-off pulling image "{nobody}"', "web", False),
        ("Failed", "Error: ImagePullBackOff", "web", True),
    ]
    clock[0] += SECOND
    assert pulls.next_look == clock[0]
    assert failure().reason == "ErrImagePull"
    assert failure().reason == "ImagePullBackOff"
    assert pulls.next_look == clock[0] + 20 * SECOND


@pytest.mark.parametrize(
    ("name", "policy", "events"),
    [
        ("A:b", "IfNotPresent", ["InspectFailed", "Error: InvalidImageName"]),
        ("a:b", "Never", ["ErrImageNeverPull", "Error: ErrImageNeverPull"]),
    ],
)
def test_an_image_that_nobody_may_pull(
    name: str, policy: Any, events: list[str], tmp_path: Path
) -> None:
    announced = Announced()
    pulls, source = ImagePulls(announced), ImageSource(ImageStore(tmp_path))
    with pytest.raises(PullError):
        pulls.get(Home(str(tmp_path)), source, NamedImage(name, policy, "web"))
    assert [announced[0][0], announced[1][1]] == events
    shutil.rmtree(tmp_path)
