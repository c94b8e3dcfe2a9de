"""Credentials that a program issues: ``users[].user.exec`` of a kubeconfig.

The program prints an ExecCredential of ``client.authentication.k8s.io`` (v1 or v1beta1).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple

from kubelite.client.errors import BadKubeconfig

_API = "client.authentication.k8s.io/"


class Credentials(NamedTuple):
    """What a program has issued: a token, or a certificate and its key as PEM."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""


def run(plugin: Mapping[str, Any], directory: str) -> Credentials:
    """Runs the program; a relative path in its ``command`` starts at the kubeconfig's directory.

    Raises BadKubeconfig, with the hint of the kubeconfig where the program is not installed.
    """
    command = str(plugin.get("command") or "")
    program = os.path.join(directory, command) if os.sep in command else command
    info: dict[str, object] = {
        "apiVersion": plugin.get("apiVersion"),
        "kind": "ExecCredential",
        "spec": {},
    }
    variables = {str(row["name"]): str(row["value"]) for row in plugin.get("env") or ()}
    environment = {**os.environ, **variables, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    words = [program, *(str(word) for word in plugin.get("args") or ())]
    try:
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)
        return parse(json.loads(done.stdout))
    except OSError as error:
        hint = str(plugin.get("installHint") or "").strip()
        raise BadKubeconfig(
            f"cannot run the credential program {command}: {error.strerror}"
            + (f"; {hint}" if hint else "")
        ) from error
    except subprocess.CalledProcessError as error:
        code = error.returncode
        raise BadKubeconfig(f"the credential program {command} ended with {code}") from error
    except ValueError as error:
        raise BadKubeconfig(f"the credential program {command}: {error}") from error


def parse(answer: Any) -> Credentials:
    """The credentials in an ExecCredential. Raises ValueError with a sentence."""
    if not isinstance(answer, dict) or not str(answer.get("apiVersion")).startswith(_API):
        raise ValueError("its output is not an ExecCredential")
    status = answer.get("status") or {}
    certificate = str(status.get("clientCertificateData") or "").encode()
    key = str(status.get("clientKeyData") or "").encode()
    token = str(status.get("token") or "")
    if not token and not (certificate and key):
        raise ValueError("its output has neither a token nor a certificate with its key")
    return Credentials(token, certificate, key)
