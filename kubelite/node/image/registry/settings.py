"""How this machine speaks to registries: its ``registries.conf``, its logins and pull Secrets."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from glob import glob
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.node.image.errors import PullError
from kubelite.node.image.registry import auth, config

if TYPE_CHECKING:
    from kubelite.node.image.reference import Reference
    from kubelite.node.image.registry.auth import Credentials

HELPER_SECONDS = 30


class Settings(NamedTuple):
    """Where this machine pulls and pushes. ``configurations`` are parsed docker ``config.json``
    documents.
    """

    registries: tuple[config.Registry, ...] = ()
    configurations: tuple[Mapping[str, Any], ...] = ()


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The machine's ``registries.conf`` and the user's docker and podman logins.

    Raises PullError for a file that cannot be read.
    """
    home = environment.get("HOME", "/root")
    runtime = environment.get("XDG_RUNTIME_DIR", "/run/user/0")
    logins = (
        environment.get("REGISTRY_AUTH_FILE", f"{runtime}/containers/auth.json"),
        f"{home}/.config/containers/auth.json",
        f"{environment.get('DOCKER_CONFIG', f'{home}/.docker')}/config.json",
    )
    system = environment.get("CONTAINERS_REGISTRIES_CONF", "/etc/containers/registries.conf")
    files = [system, *sorted(glob("/etc/containers/registries.conf.d/*.conf"))]
    registries = config.parse(filter(None, (_read(path, tomllib.loads) for path in files)))
    return Settings(registries, tuple(filter(None, (_read(path, json.loads) for path in logins))))


def find_credentials(
    reference: Reference, settings: Settings, secrets: Sequence[Mapping[str, Any]]
) -> list[Credentials]:
    """All credentials for an image: pull Secrets, then credential helpers, then files."""
    credentials = [c for secret in secrets for c in auth.from_secret(secret, reference)]
    for document in settings.configurations:
        helpers = auth.helpers(document)
        for server in auth.server_names(reference):
            if program := helpers.by_registry.get(server, helpers.default):
                credentials += _ask_helper(program, server)
        credentials += auth.from_docker_config(document, reference)
    return list(dict.fromkeys(credentials))


def _ask_helper(program: str, server: str) -> list[Credentials]:
    """What ``docker-credential-PROGRAM get`` says; nothing where it has or is nothing."""
    import subprocess

    try:
        answer = subprocess.run(
            [f"docker-credential-{program}", "get"],
            input=server.encode(),
            capture_output=True,
            timeout=HELPER_SECONDS,
            check=True,
        )
        document = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return []
    if document.get("Username") == "<token>":
        return [auth.Credentials(identity_token=document.get("Secret", ""))]
    return [auth.Credentials(document.get("Username", ""), document.get("Secret", ""))]


def _read(path: str, parse: Callable[[str], Any]) -> Mapping[str, Any] | None:
    try:
        with open(path, encoding="utf-8") as file:
            document = parse(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise PullError("ErrImagePull", f"{path} cannot be read: {error}") from error
    return document if isinstance(document, Mapping) else None
