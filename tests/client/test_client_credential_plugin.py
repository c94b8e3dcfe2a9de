"""Kubeconfigs of several files, and credentials that a program issues."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.errors import BadKubeconfig
from kubelite.client.kubeconfig import ClusterAccess, load, load_merged

CLUSTERS = [{"name": "c", "cluster": {"server": "https://h:1", "certificate-authority": "ca"}}]
CONTEXTS = [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}]


def write(path: Path, **sections: Any) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(sections))
    return str(path)


def issued_by(tmp_path: Path, script: str, **fields: Any) -> ClusterAccess:
    (tmp_path / "ca").write_text("authority")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./program", **fields}
    users = [{"name": "u", "user": {"exec": plugin}}]
    sections: dict[str, Any] = {"clusters": CLUSTERS, "contexts": CONTEXTS, "users": users}
    return load(write(tmp_path / "config", **sections), "x")


def answer(**status: str) -> str:
    document = {"apiVersion": "client.authentication.k8s.io/v1", "status": status}
    return f"echo '{json.dumps(document)}'"


def test_of_entries_with_one_name_the_first_counts(tmp_path: Path) -> None:
    """A relative path starts at the directory of the file that it stands in."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "ca").write_text("authority")
    first = write(tmp_path / "a" / "config", **{"current-context": "x"}, contexts=CONTEXTS)
    other = [{"name": "x", "context": {"cluster": "none"}}]
    users = [{"name": "u", "user": {"token": "t"}}]
    sections: dict[str, Any] = {"clusters": CLUSTERS, "contexts": other, "users": users}
    second = write(tmp_path / "b" / "config", **{"current-context": "y"}, **sections)
    access = load_merged([first, second])
    assert (access.server, access.token, access.namespace) == ("https://h:1", "t", "n")
    assert access.authority == b"authority"
    with pytest.raises(BadKubeconfig, match=r"a/config and .*b/config has no context named 'z'"):
        load_merged([first, second], "z")


def test_a_program_issues_a_token(tmp_path: Path) -> None:
    variables = [{"name": "WORD", "value": "secret"}]
    script = 'echo "{\\"apiVersion\\": \\"client.authentication.k8s.io/v1\\", '
    script += '\\"status\\": {\\"token\\": \\"$WORD-$1\\"}}"'
    assert issued_by(tmp_path, script, env=variables, args=["1"]).token == "secret-1"


def test_a_program_issues_a_certificate(tmp_path: Path) -> None:
    pair = answer(clientCertificateData="cert", clientKeyData="key")
    access = issued_by(tmp_path, pair)
    assert (access.certificate, access.key) == (b"cert", b"key")


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("exit 3", "ended with 3"),
        ("echo text", "the credential program ./program"),
        ("echo '{}'", "is not an ExecCredential"),
        (answer(clientKeyData="key"), "neither a token nor a certificate"),
    ],
)
def test_a_program_that_issues_nothing_is_a_sentence(
    tmp_path: Path, script: str, sentence: str
) -> None:
    with pytest.raises(BadKubeconfig, match=sentence):
        issued_by(tmp_path, script)


def test_a_program_that_is_not_installed(tmp_path: Path) -> None:
    hint = "get it from the vendor"
    with pytest.raises(BadKubeconfig, match=f"no-such-program: .*; {hint}"):
        issued_by(tmp_path, "", command="no-such-program", installHint=hint)
