"""A person gets a certificate the way the Kubernetes documentation tells: key, request, approval,
use.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from tests.control.debian import kubectl_of

MANIFEST = """apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: {name}
spec:
  request: {request}
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 86400
  usages:
  - client auth
"""


def key_and_request(path: Path, user: str, group: str) -> str:
    """Writes a new key; returns the request for it as a manifest carries it."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = (
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (path / "own.key").write_bytes(key.private_bytes(*form))
    subject = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
        x509.NameAttribute(NameOID.COMMON_NAME, user),
    ]
    made = (
        x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject)).sign(key, SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize("version", ["new", "old"])
def test_from_a_key_to_a_user(version: str, kubeconfig: str, tmp_path: Path) -> None:
    environment, command = (
        {**os.environ, "HOME": str(tmp_path)},
        [kubectl_of(version), "--kubeconfig", kubeconfig],
    )

    def run(*words: str, text: str = "", code: int = 0) -> str:
        done: Any = subprocess.run(
            [*command, *words],
            env=environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    name = f"mia-{version}"
    manifest = MANIFEST.format(name=name, request=key_and_request(tmp_path, name, "readers"))
    run("create", "-f", "-", text=manifest)
    assert "Pending" in run("get", "csr", name)
    assert f"{name} approved" in run("certificate", "approve", name)
    deadline = time.monotonic() + 10
    while not (found := run("get", "csr", name, "-o", "jsonpath={.status.certificate}")):
        assert time.monotonic() < deadline, run("get", "csr", name, "-o", "yaml")
        time.sleep(0.02)
    assert "Approved,Issued" in run("get", "csr", name)
    (tmp_path / "own.crt").write_bytes(base64.b64decode(found))
    config = yaml.safe_load(Path(kubeconfig).read_text())
    files = {
        "client-certificate": str(tmp_path / "own.crt"),
        "client-key": str(tmp_path / "own.key"),
    }
    config["users"].append({"name": name, "user": files})
    config["contexts"].append({"name": name, "context": {"cluster": "kubelite", "user": name}})
    (tmp_path / "config").write_text(yaml.safe_dump({**config, "current-context": name}))
    command[2] = str(tmp_path / "config")
    assert f'User "{name}" cannot list resource "pods"' in run("get", "pods", code=1)
    run(
        "--context",
        "kubelite",
        "create",
        "rolebinding",
        name,
        "--clusterrole=view",
        "--group=readers",
    )
    assert "No resources found" in run("get", "pods")
    assert "yes" in run("auth", "can-i", "list", "pods")
    assert "no" in run("auth", "can-i", "list", "secrets", code=1)
    run("--context", "kubelite", "delete", "rolebinding", name)
    command[2] = kubeconfig
    run("create", "-f", "-", text=manifest.replace(f"name: {name}", f"name: {name}-2"))
    assert "denied" in run("certificate", "deny", f"{name}-2")
    assert "Denied" in run("get", "csr", f"{name}-2")
    run("delete", "csr", name, f"{name}-2")
