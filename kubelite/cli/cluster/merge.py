"""Adds a cluster to the user's own kubeconfig."""

from __future__ import annotations

import os
from typing import Any

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.lib.files import write_atomic

SECTIONS = ("clusters", "users", "contexts")


def merge_into_own(path: str, name: str) -> str:
    """Adds a cluster to the user's kubeconfig, whose path is returned. Everything else in it stays;
    a file that is not a kubeconfig is left alone. Raises CliError.
    """
    import yaml

    own = os.environ.get("KUBECONFIG", "").split(":")[0] or os.path.expanduser("~/.kube/config")
    label = "kubelite" if name == "default" else f"kubelite-{name}"
    try:
        with open(path, encoding="utf-8") as file:
            added = _renamed(yaml.safe_load(file), label)
        existing = _read_own(own)
        merged = merge_configs(existing, added)
        os.makedirs(os.path.dirname(os.path.abspath(own)), exist_ok=True)
        write_atomic(own, yaml.safe_dump(merged, sort_keys=False).encode(), durable=True)
    except (OSError, yaml.YAMLError) as error:
        raise CliError(Diagnostic(f"cannot add the cluster to {own}: {error}")) from error
    return own


def merge_configs(existing: dict[str, Any], added: dict[str, Any]) -> dict[str, Any]:
    """A kubeconfig with the entries of another; entries of the same name are replaced."""
    result = {"apiVersion": "v1", "kind": "Config", **existing}
    for section in SECTIONS:
        names = {entry["name"] for entry in added[section]}
        kept = [entry for entry in existing.get(section) or () if entry.get("name") not in names]
        result[section] = [*kept, *added[section]]
    return result | {"current-context": added["current-context"]}


def _read_own(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            document = yaml.safe_load(file)
    except FileNotFoundError:
        return {}
    if document is None:
        return {}
    if not isinstance(document, dict) or document.get("kind", "Config") != "Config":
        raise CliError(Diagnostic(f"{path} is not a kubeconfig; it was left as it is"))
    return document


def _renamed(document: dict[str, Any], label: str) -> dict[str, Any]:
    """Cluster, user and context named after the cluster, so that several fit into one file."""
    (cluster,), (user,), (context,) = (document[section] for section in SECTIONS)
    return {
        "clusters": [cluster | {"name": label}],
        "users": [user | {"name": f"{label}-admin"}],
        "contexts": [
            context | {"name": label, "context": {"cluster": label, "user": f"{label}-admin"}}
        ],
        "current-context": label,
    }
