"""Containerfiles give what buildah makes of them: the same files, modes and configuration."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.node.build.conftest import TRIGGER, Builders, config_of, files_of
from tests.node.build.containerfiles import TABLE
from tests.node.build.popular import POPULAR

FIELDS = (
    "Entrypoint",
    "Cmd",
    "Env",
    "WorkingDir",
    "User",
    "StopSignal",
    "ExposedPorts",
    "Volumes",
    "Labels",
    "Healthcheck",
    "Shell",
    "OnBuild",
)


@pytest.fixture(scope="session")
def both(builders: Builders) -> Builders:
    if shutil.which("buildah") is None:
        pytest.skip("no buildah on this machine")
    builders.prepare_buildah()
    (builders.place / "Trigger").write_text(TRIGGER)
    file = str(builders.place / "Trigger")
    builders.kl("image", "build", "-f", file, "-t", "trigger", str(builders.context))
    builders.buildah(
        "bud",
        "--format",
        "docker",
        "--pull-never",
        "-f",
        file,
        "-t",
        "trigger",
        str(builders.context),
    )
    return builders


def running(config: dict[str, Any]) -> dict[str, Any]:
    """What containers get of a configuration; labels that buildah adds left out."""
    part = {name: config.get(name) for name in FIELDS if config.get(name)}
    labels = part.get("Labels") or {}
    part["Env"] = sorted(part.get("Env") or ())  # buildah moves a variable that is set again
    part["Labels"] = {k: v for k, v in labels.items() if not k.startswith("io.buildah")}
    return part


@pytest.mark.parametrize("name", [*TABLE, *POPULAR])
def test_the_same_files_and_configuration(both: Builders, name: str) -> None:
    text = (TABLE | POPULAR)[name]
    both.build(text)
    ours = both.unpacked()
    theirs = both.built_by_buildah(text)
    assert files_of(ours / "rootfs") == files_of(theirs / "rootfs")
    assert running(config_of(both.place / "made.oci")["config"]) == running(both.buildah_config())
