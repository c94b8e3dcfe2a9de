"""ConfigMaps, Secrets and fields of the pod as files and variables, seen from inside the container.

The manifests are those of ``examples/``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kubelite.node.kubelet.act import pod_names
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.objects.pod.pod import Pod
from tests.e2e.world import SLEEP, World, eventually, pod

EXAMPLES = Path(__file__).parents[2] / "examples"
READER = """
import os, sys
mixed = reads = 0
while not os.path.exists("/out/enough"):
    fd = os.open("/c/..data", os.O_RDONLY | os.O_DIRECTORY)
    try:
        versions = {open(os.open(str(n), os.O_RDONLY, dir_fd=fd)).read() for n in range(50)}
    except FileNotFoundError:
        continue  # this version has been removed meanwhile
    finally:
        os.close(fd)
    reads += 1
    mixed += len(versions) != 1
print(reads, mixed)
"""


def example(name: str, *changes: tuple[str, str]) -> str:
    text = (EXAMPLES / name).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def config_map(data: dict[str, str], name: str = "m") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def documents(*made: dict[str, Any]) -> str:
    return yaml.safe_dump_all(made, sort_keys=False)


def test_a_config_map_is_files_that_follow_the_manifest(world: World) -> None:
    world.up(example("configmap-volume.yaml"))
    assert world.logs("configmap-volume") == "Welcome\n"
    listed = "cd /etc/chosen; stat -L -c '%a %n' conf.d/site.conf title.txt; ls /etc/maybe | wc -l"
    assert world.exec("configmap-volume", listed).split("\n")[:3] == [
        "440 conf.d/site.conf",
        "400 title.txt",
        "0",
    ]
    assert world.exec("configmap-volume", "stat -L -c %a /etc/site/title").strip() == "644"
    refused = world.kl(
        "pod", "exec", "configmap-volume", "--", "sh", "-c", "echo x > /etc/site/title", check=False
    )
    assert refused.returncode != 0 and "Read-only" in refused.stderr
    pids = {
        name: each["pid"] for name, each in world.inspect("configmap-volume")["containers"].items()
    }

    changed = example(
        "configmap-volume.yaml",
        ("title: Welcome", "title: Changed\n  more: new"),
        ("workers 2", "workers 3"),
    )
    said = world.up(changed)
    assert "updated in" in said.stdout and "ConfigMap site: changed" in said.stderr
    script = (
        "cat /etc/site/title /etc/site/more /etc/chosen/title.txt; "
        "tail -n1 /etc/chosen/conf.d/site.conf /run/site.conf"
    )
    seen = world.exec("configmap-volume", script)
    assert seen.startswith("ChangednewChanged")
    assert [line for line in seen.splitlines() if line.startswith("workers")] == [
        "workers 3",
        "workers 2",
    ], "the file of a subPath stays"
    after = world.inspect("configmap-volume")["containers"]
    assert {name: each["pid"] for name, each in after.items()} == pids, "nothing was restarted"
    assert "already up" in world.up(changed).stdout

    removed = example("configmap-volume.yaml", ("  title: Welcome\n", ""))
    failed = world.up(removed, check=False)
    assert failed.returncode == 1 and "references non-existent config key: title" in failed.stderr
    assert world.exec("configmap-volume", "cat /etc/site/title") == "Changed"


def test_secrets_are_variables_and_files_in_memory_and_shown_nowhere(world: World) -> None:
    world.up(example("secret-env.yaml"))
    assert world.logs("secret-env") == "blue 7 13\n"
    seen = world.exec("secret-env", 'echo "$LOGIN|${NICKNAME-unset}|$PASSWORD"')
    assert seen == "app:correct horse|unset|correct horse\n"
    script = "cd /run/database; stat -L -c '%a %n' *; cat token; stat -f -c ' %T' ."
    assert world.exec("secret-env", script) == "400 password\n400 token\nhunter2 tmpfs\n"
    words = ("correct horse", "Y29ycmVjdCBob3JzZQ", "hunter2", "aHVudGVyMg")
    for command in (("inspect", "secret-env"), ("ls", "-o", "json"), ("ls", "-o", "yaml"),
                    ("describe", "secret-env"), ("events", "secret-env")):  # fmt: skip
        shown = world.kl("pod", *command)
        assert not [word for word in words if word in shown.stdout + shown.stderr], command
    plan = world.kl(
        "pod", "up", "--dry-run", "-", input=example("secret-env.yaml", ("correct", "other"))
    )
    assert "Secret database: changed" in plan.stdout and "horse" not in plan.stdout

    world.up(example("secret-env.yaml", ("correct", "other"), ("blue", "red")))
    seen = world.exec("secret-env", "cat /run/database/password; tr '\\0' '\\n' < /proc/1/environ")
    assert seen.startswith("other horse") and "PASSWORD=correct horse" in seen, "as it was started"
    world.kl("pod", "restart", "secret-env", "--grace-period", "0")
    assert world.exec("secret-env", 'echo "$PASSWORD $APP_COLOR"') == "other horse red\n"


def test_a_pod_finds_its_own_fields_in_files(world: World) -> None:
    world.up(example("downward-api.yaml"))
    name = "downward-api"
    assert world.logs(name) == 'app="web"\ntier="front"\n'
    assert world.exec(name, "cat /etc/pod/annotations") == 'note="two\\nlines"'
    assert (
        world.exec(name, "cat /etc/pod/limits/memory; stat -L -c ' %a' /etc/pod/limits/memory")
        == "64 400\n"
    )
    script = "cd /etc/together; cat hello pod/name; stat -L -c ' %a' hello; echo $POD_IP"
    address = world.get(name)["status"]["podIP"]
    assert world.exec(name, script) == f"worlddownward-api 444\n{address}\n"
    world.up(example("downward-api.yaml", ("tier: front", "tier: back")))
    assert world.exec(name, "cat /etc/pod/labels") == 'app="web"\ntier="back"'


def test_a_part_of_a_secret_is_mounted_in_place_of_a_file(world: World) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s"},
        "stringData": {"key": "k1"},
    }
    mounts = [{"name": "s", "mountPath": "/run/one", "subPath": "key"}]
    made = pod("cat /run/one", volumeMounts=mounts)
    made["spec"]["volumes"] = [{"name": "s", "secret": {"secretName": "s"}}]
    world.up(documents(made, secret))
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "20s")
    assert world.logs("p") == "k1"


def test_files_belong_to_the_group_of_the_pod(world: World) -> None:
    made = pod(
        "cat /c/a; id -u; stat -L -c '%g %a' /c/a",
        volumeMounts=[{"name": "m", "mountPath": "/c"}],
        spec={"securityContext": {"runAsUser": 1234, "runAsGroup": 1234, "fsGroup": 5678},
              "volumes": [{"name": "m", "configMap": {"name": "m", "defaultMode": 0o400}}]},
    )  # fmt: skip
    world.up(documents(config_map({"a": "x\n"}), made))
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "20s")
    assert world.logs("p") == "x\n1234\n5678 440\n"


def test_a_reader_never_sees_a_mixture_of_two_versions(world: World) -> None:
    def manifest(version: int) -> str:
        data = {str(n): f"{version}\n" * 20 for n in range(50)}
        return documents(config_map(data), made)

    made = pod(volumeMounts=[{"name": "m", "mountPath": "/c"},
                             {"name": "out", "mountPath": "/out"}],
               command=["python3", "-c", READER])  # fmt: skip
    made["spec"]["volumes"] = [
        {"name": "m", "configMap": {"name": "m"}},
        {"name": "out", "emptyDir": {}},
    ]
    world.up(manifest(0))
    pods = Pods(Home(str(world.root)))
    record = Ledger(Home(str(world.root))).find("default", "p")
    assert record is not None
    for version in range(1, 101):
        objects = list(yaml.safe_load_all(manifest(version)))[:1]
        pods.up(msgspec.json.decode(record.pod, type=Pod), documents=objects, report=lambda _: None)
    assert world.exec("p", "cat /c/49").split() == ["100"] * 20
    world.exec("p", ": > /out/enough")
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "20s")
    reads, mixed = world.logs("p").split()
    assert int(reads) > 20 and mixed == "0"


def test_new_files_are_written_by_the_next_up_if_a_command_was_killed(world: World) -> None:
    """A command killed between the two has recorded the new ConfigMap, and the files are old."""
    made = pod(SLEEP, volumeMounts=[{"name": "m", "mountPath": "/c"}])
    made["spec"]["volumes"] = [{"name": "m", "configMap": {"name": "m"}}]
    world.up(documents(config_map({"a": "old"}), made))
    ledger = Ledger(Home(str(world.root)))
    record = ledger.find("default", "p")
    assert record is not None
    new = config_map({"a": "new"})
    new["metadata"]["namespace"] = "default"
    ledger.save_pod(msgspec.structs.replace(record, documents=pod_names.encoded([new])))
    assert world.exec("p", "cat /c/a") == "old"
    assert "already up" in world.up(documents(config_map({"a": "new"}), made)).stdout
    assert world.exec("p", "cat /c/a") == "new"


def test_lenient_runs_a_pod_without_what_is_missing(world: World) -> None:
    made = pod(f"ls /c | wc -l; echo ${{A-unset}}; {SLEEP}",
               volumeMounts=[{"name": "m", "mountPath": "/c"}],
               env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
               envFrom=[{"configMapRef": {"name": "m"}}])  # fmt: skip
    token = {"serviceAccountToken": {"path": "token"}}
    made["spec"]["volumes"] = [
        {"name": "m", "projected": {"sources": [token, {"configMap": {"name": "m"}}]}}
    ]
    done = world.kl("pod", "up", "--lenient", "-", input=json.dumps(made))
    assert 'configmap "m" not found' in done.stderr and 'secret "s" not found' in done.stderr
    eventually(lambda: world.logs("p") == "0\nunset\n", "it has written")


def test_more_data_than_a_record_holds_is_refused_and_nothing_is_left(
    world: World, tmp_path: Path
) -> None:
    names = [f"m{n}" for n in range(9)]
    for name in names:
        text = documents(config_map({"a": "x" * 1_000_000}, name))
        (tmp_path / f"{name}.yaml").write_text(text)
    made = pod(SLEEP)
    made["spec"]["volumes"] = [{"name": name, "configMap": {"name": name}} for name in names]
    (tmp_path / "p.yaml").write_text(documents(made))
    done = world.kl("pod", "up", str(tmp_path), check=False)
    assert done.returncode == 1 and "the limit is 8 MiB" in done.stderr
    assert "Traceback" not in done.stderr and world.files() == set()


MAX_OWN_MODULES, MAX_MODULES = 130, 192
"""What a plain ``pod up`` may import beyond a bare interpreter, of kubelite and in all."""


def imported(world: World, *arguments: str, text: str = "") -> set[str]:
    """The modules that Python imports when it is run with these arguments."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        input=text,
        capture_output=True,
        text=True,
        env=world.env,
        check=True,
    )
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}


def up_imports(world: World, text: str) -> set[str]:
    return imported(world, *world.command("pod", "up", "-")[1:], text=text)


def test_a_plain_pod_starts_with_few_modules(world: World) -> None:
    # The first pod of a state root also makes its network and compiles its seccomp filter.
    world.kl("pod", "up", "-", input=documents(pod(SLEEP, name="first")))
    modules = up_imports(world, documents(pod(SLEEP))) - imported(world, "-c", "pass")
    own = {name for name in modules if name.partition(".")[0] == "kubelite"}
    assert len(own) <= MAX_OWN_MODULES, sorted(own)
    assert len(modules) <= MAX_MODULES, sorted(modules - own)


def test_a_plain_pod_starts_without_the_modules_that_it_does_not_need(world: World) -> None:
    extra = {
        "kubelite.cli.config_review",
        "kubelite.objects.pod.references",
        "kubelite.objects.rules.config_data",
        "kubelite.node.kubelet.act.volume_contents",
        "kubelite.node.volume.atomic",
    }
    for_others = {
        "kubelite.node.kubelet.decide.node_pressure_eviction",
        "kubelite.node.network.announcements",
        "kubelite.node.network.bandwidth",
        "kubelite.node.network.netlink",
        "kubelite.node.runtime.removal",
        "kubelite.node.kubelet.act.exit_recorder",
    }
    assert up_imports(world, documents(pod(SLEEP))) & (extra | for_others) == set()
    made = pod(SLEEP, name="q", envFrom=[{"configMapRef": {"name": "m"}}])
    assert up_imports(world, documents(made, config_map({"A": "a"}))) >= extra - {
        "kubelite.node.volume.atomic"
    }


def file_variable(path: str, key: str, optional: bool = False) -> dict[str, Any]:
    selector = {"volumeName": "v", "path": path, "key": key, "optional": optional}
    return {"name": "A", "valueFrom": {"fileKeyRef": selector}}


@pytest.mark.parametrize(
    ("write", "path", "key", "problem"),
    [
        ("true", "a.env", "A", 'environment file "a.env" of volume "v" not found'),
        ("echo \"B='b'\" > /v/a.env", "a.env", "A", 'couldn\'t find key "A" in environment file'),
        ("echo A=b > /v/a.env", "a.env", "A", "line 1 is not of the form NAME='value'"),
        ("ln -s /etc/hostname /v/a.env", "a.env", "A", "cannot read the environment file"),
        ("ln -s / /v/d", "d/etc/hostname", "A", "cannot read the environment file"),
        ("mkfifo /v/a.env", "a.env", "A", "is not a regular file"),
        ("head -c 70000 /dev/zero > /v/a.env", "a.env", "A", "larger than 64 KiB"),
    ],
)  # fmt: skip
def test_a_container_does_not_start_with_a_file_that_it_cannot_have_variables_of(
    world: World, write: str, path: str, key: str, problem: str
) -> None:
    first = {
        "name": "i",
        "image": "host",
        "command": ["sh", "-c", write],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }
    spec = {"initContainers": [first], "volumes": [{"name": "v", "emptyDir": {}}]}
    failed = world.up(pod("true", spec=spec, env=[file_variable(path, key)]), check=False)
    assert failed.returncode == 1 and problem in failed.stderr
