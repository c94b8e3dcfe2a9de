"""The tests that the official Python client carries itself, as they are, against a real ``kubelite
server``.

Its source archive and its wheel hold the same tests; these are all that speak to a server. They
want ``kubernetes.e2e_test.base``, which both leave out: it says how to reach the cluster, and is
given here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control.api.server.test_api_crash import ROOT, Process

pytest.importorskip("kubernetes")

RUN = """
import json, sys, types, unittest
kind, config, name = sys.argv[1:]
root = "kubernetes.aio" if kind == "aio" else "kubernetes"
base = types.ModuleType(root + ".e2e_test.base")
if kind == "aio":
    import asyncio
    from kubernetes.aio import client, config as settings
else:
    from kubernetes import client, config as settings
def get_e2e_configuration():
    found = client.Configuration()
    done = settings.load_kube_config(config, client_configuration=found)
    if kind == "aio":
        asyncio.run(done)
    return found
base.get_e2e_configuration = get_e2e_configuration
package = types.ModuleType(root + ".e2e_test")
package.base = base
sys.modules[package.__name__], sys.modules[base.__name__] = package, base
suite = unittest.defaultTestLoader.loadTestsFromName(name)
result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
wrong = {each.id().rsplit(".", 1)[1]: text for each, text in [*result.failures, *result.errors]}
print(json.dumps({"ran": result.testsRun, "wrong": wrong}))
"""

# Custom resources through apiextensions.k8s.io/v1beta1, which no server since 1.22 serves.
V1BETA1 = {
    "test_cluster_custom_resources",
    "test_async_namespaced_custom_resources",
    "test_namespaced_custom_resources",
}
# A Deployment is sent to the path of pods there; no server takes it.
DEPLOYMENT_AS_POD = {"test_server_side_apply_api"}
# The client compares a resource with one read back from its cache, which it writes in another form
# since version 37.
CACHE_FORM = {"test_cache_decoder_resource_and_subresource"}


# Kind of client, module, how many tests it has at least, and which of them fail.
MODULES = [
    ("plain", "kubernetes.dynamic.test_client", 10, V1BETA1),
    ("plain", "kubernetes.dynamic.test_discovery", 2, CACHE_FORM),
    ("aio", "kubernetes.aio.dynamic.discovery_test", 2, set()),
    ("aio", "kubernetes.aio.dynamic.client_test", 5, DEPLOYMENT_AS_POD),
]


def test_no_other_test_of_the_client_speaks_to_a_server() -> None:
    import kubernetes

    package = Path(kubernetes.__file__).parent
    files = [*package.rglob("*_test.py"), *package.rglob("test_*.py")]
    live = {
        path.relative_to(package.parent).with_suffix("")
        for path in files
        if "e2e_test" in path.read_text()
    }
    assert {".".join(path.parts) for path in live} == {module for _, module, _, _ in MODULES}


@pytest.mark.parametrize(("kind", "module", "least", "known"), MODULES)
def test_they_pass(tmp_path: Path, kind: str, module: str, least: int, known: set[str]) -> None:
    server = Process(tmp_path)
    server.start()
    try:
        command = [sys.executable, "-c", RUN, kind, str(tmp_path / f"config-{server.port}"), module]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
    finally:
        server.stop()
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["ran"] >= least
    assert set(result["wrong"]) == known, "\n".join(result["wrong"].values())
