"""Runs a scheduler over a client, in the server's process or in one of its own."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from kubelite.client.client import Client
from kubelite.client.events import SeriesRecorder
from kubelite.client.informers import Informers
from kubelite.control.scheduler.cluster.cluster import Cluster
from kubelite.control.scheduler.loop.scheduler import Scheduler
from kubelite.control.scheduler.loop.view import informers_of
from kubelite.control.scheduler.loop.writer import Writer
from kubelite.control.scheduler.plugins import profile
from kubelite.control.scheduler.plugins.custom_plugins import OwnPlugin

USER = "system:kube-scheduler"


async def run_scheduler(
    client: Client,
    informers: Informers | None = None,
    *,
    configuration: Mapping[str, Any] | None = None,
    own_plugins: Sequence[OwnPlugin] = (),
    seed: int | None = None,
) -> None:
    """Schedules pods until cancelled, writing as the client's user.

    ``informers`` are those of the process where there are any, so that each object is decoded
    once. ``configuration`` is a KubeSchedulerConfiguration; ``seed`` breaks ties, None at random.
    Raises BadConfiguration, and ClientError where the server does not answer at the start.
    """
    profiles = (
        profile.read(configuration, own_plugins)
        if configuration
        else (profile.default(own_plugins),)
    )
    name = profiles[0].name
    recorder = SeriesRecorder(client, name, f"{name}-{socket.gethostname()}")
    own_informers = None if informers is not None else Informers(client)
    cluster = Cluster(profiles, seed=random.getrandbits(62) if seed is None else seed)
    try:
        view = await informers_of(client, informers or own_informers or Informers(client))
        await Scheduler(cluster, view, Writer(client, recorder)).run()
    finally:
        await recorder.close()
        if own_informers is not None:
            await own_informers.close()
