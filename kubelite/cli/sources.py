"""Manifests that are not files: those of a URL, and those that a kustomization builds."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import urllib.error
import urllib.request

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.error_codes import KUSTOMIZATION, UNREADABLE, URL

SECONDS = 30
"""How long a server may be silent."""
_NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")


def download(url: str, most: int) -> bytes:
    """The first ``most`` bytes of what an http or https URL leads to. Raises CliError."""
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as reply:
            data: bytes = reply.read(most)
            return data
    except urllib.error.HTTPError as error:
        reason = f"the server answered {error.code} {error.reason}"
    except urllib.error.URLError as error:
        reason = _reason(error.reason)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = _reason(error)
    raise CliError(Diagnostic(f"{url} cannot be downloaded: {reason}", URL))


def _reason(error: object) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def build(directory: str) -> bytes:
    """What the kustomization of a directory builds, by kubectl's own rules. Raises CliError."""
    if not any(os.path.exists(os.path.join(directory, name)) for name in _NAMES):
        raise CliError(
            Diagnostic(
                f"{directory} is a directory without a kustomization: it has none of the files"
                f" {', '.join(_NAMES)}",
                UNREADABLE,
                hint=f"for all manifests in it: kubelite pod up -f {directory}",
            )
        )
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        hint = "install kubectl, or build it elsewhere: kustomize build DIR | kubelite pod up -"
        raise CliError(
            Diagnostic(
                f"{directory} cannot be built: kubectl, which knows kustomizations, is not"
                " installed",
                KUSTOMIZATION,
                hint=hint,
            )
        )
    # The path may begin with a dash.
    command = [kubectl, "kustomize", os.path.join(".", directory)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0:
        output = done.stderr.decode(errors="replace").strip().removeprefix("error: ")
        raise CliError(Diagnostic(f"{directory} cannot be built: {output}", KUSTOMIZATION))
    return done.stdout
