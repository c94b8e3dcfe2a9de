"""What a person does with kubectl in a terminal: exec, attach, debug, cp, port-forward, logs,
drain.
"""

from __future__ import annotations

import concurrent.futures
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.terminal import Terminal
from tests.cluster.world import Cluster, cluster_that_is_up, eventually

TOOLS = """
apiVersion: v1
kind: Pod
metadata: {name: tools}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: host
    command: [python3, -m, http.server, "8080", --directory, /etc/kubernetes-is-here]
    volumeMounts: [{name: page, mountPath: /etc/kubernetes-is-here}]
  - name: shell
    image: host
    command: [sh]
    stdin: true
    tty: true
  volumes: [{name: page, emptyDir: {}}]
"""
CRASHING = """
apiVersion: v1
kind: Pod
metadata: {name: crashing}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: host
    command:
    - sh
    - -c
    - |
      n=$(cat /count/n 2>/dev/null || echo 0); echo $((n + 1)) > /count/n
      echo run $n; test $n = 0 && exit 3
      until test -e /count/go; do sleep 0.05; done
      echo over; exec sleep 1000
    volumeMounts: [{name: count, mountPath: /count}]
  volumes: [{name: count, emptyDir: {}}]
"""


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with the pod ``tools``."""
    with cluster_that_is_up(tmp_path_factory.mktemp("terminal") / "root") as cluster:
        cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
        cluster.apply(TOOLS)
        cluster.kubectl("wait", "--for=condition=Ready", "pod/tools", "--timeout=50s")
        yield cluster


def check_size(terminal: Terminal, rows: int, columns: int) -> None:
    """The shell in the terminal hears of the size that the terminal has now."""
    terminal.type(f'until test "$(stty size)" = "{rows} {columns}"; do sleep 0.05; done\n')
    terminal.type("echo size is $(stty size)\n")
    terminal.expect(f"size is {rows} {columns}")


def test_exec_in_a_terminal_that_changes_its_size(tools: Cluster) -> None:
    with tools.terminal("exec", "-it", "tools", "-c", "main", "--", "sh") as terminal:
        check_size(terminal, 24, 80)
        terminal.resize(41, 123)
        check_size(terminal, 41, 123)
        terminal.type("PS1=ne''xt:\n")
        terminal.expect("next:")
        terminal.type("sh -c 'echo begun $((6 * 7)); exec sleep 1000'\n")
        terminal.expect("begun 42")
        terminal.type("\x03")  # interrupts the program inside, not kubectl
        terminal.expect("next:")
        terminal.type("echo still $((40 + 2))\n")
        terminal.expect("still 42")
        terminal.type("exit 7\n")
        assert terminal.wait() == 7


def test_attach_to_a_terminal_and_leave_it(tools: Cluster) -> None:
    with tools.terminal("attach", "-it", "tools", "-c", "shell") as terminal:
        check_size(terminal, 24, 80)
        terminal.resize(30, 100)
        check_size(terminal, 30, 100)
        terminal.type("kept=here; echo set $((6 * 7))\n")
        terminal.expect("set 42")
    with tools.terminal("attach", "-it", "tools", "-c", "shell") as terminal:
        terminal.type('echo "it is $kept"\n')
        terminal.expect("it is here")


def ephemeral(cluster: Cluster, name: str) -> dict[str, Any]:
    """The status of an ephemeral container of the pod ``tools``."""
    status = cluster.get("pod", "tools")["status"]
    statuses = {s["name"]: s for s in status["ephemeralContainerStatuses"]}
    return dict(statuses[name])


def message(cluster: Cluster, name: str) -> str:
    """Why an ephemeral container waits."""
    return str(ephemeral(cluster, name)["state"]["waiting"]["message"])


def test_debug_beside_a_container(tools: Cluster) -> None:
    before = tools.get("pod", "tools")["status"]
    words = ["debug", "-it", "tools", "--image=host", "--profile=general"]
    with tools.terminal(*words, "-c", "beside", "--target=main", "--", "sh") as terminal:
        terminal.type("tr '\\0' ' ' < /proc/1/cmdline\n")
        terminal.expect("http.server 8080")
        terminal.type("echo > /proc/1/root/etc/kubernetes-is-here/left && echo wrote $((6 * 7))\n")
        terminal.expect("wrote 42")
        terminal.resize(33, 99)
        check_size(terminal, 33, 99)
        assert "running" in ephemeral(tools, "beside")["state"]
        terminal.type("exit 5\n")
        terminal.wait()
    served = tools.kubectl("exec", "tools", "-c", "main", "--", "ls", "/etc/kubernetes-is-here")
    assert served.stdout == "left\n"
    ended = eventually(lambda: ephemeral(tools, "beside")["state"].get("terminated"))
    assert (ended["exitCode"], ended["reason"]) == (5, "Error")
    assert "wrote 42" in tools.kubectl("logs", "tools", "-c", "beside").stdout
    # One of its own processes, and one whose image nobody has: the pod itself goes on as it was.
    tools.kubectl(*words, "-c", "alone", "--attach=false", "-i=false", "-t=false", "--", "ps", "-e")
    tools.kubectl(
        *("debug", "tools", "--image=localhost/none:1", "--image-pull-policy=Never", "-c", "never")
    )
    eventually(lambda: "terminated" in ephemeral(tools, "alone")["state"])
    assert "http.server" not in tools.kubectl("logs", "tools", "-c", "alone").stdout
    eventually(
        lambda: ephemeral(tools, "never")["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    )
    after = tools.get("pod", "tools")["status"]
    for key in ("phase", "containerStatuses"):
        assert after[key] == before[key]


def test_tools_of_the_machine_are_kept_from_a_container_that_could_trace_them(
    tools: Cluster,
) -> None:
    tools.kubectl(
        *("debug", "tools", "--image=host", "--profile=baseline", "--target=main", "-c", "open"),
        *("--", "sleep", "1000"),
        check=False,
    )
    eventually(lambda: "may trace them" in message(tools, "open"))


@pytest.mark.skipif(
    not Path("/sys/fs/cgroup/devices").is_dir(), reason="this machine has no such hierarchies"
)
def test_a_privileged_ephemeral_container_opens_devices_and_nobody_else_does(
    tools: Cluster,
) -> None:
    """The pod has no privileged container: its own list of devices stays for the others."""
    read = "mknod /tmp/kmsg c 1 11 && dd if=/tmp/kmsg of=/dev/null bs=8k count=1 iflag=nonblock"
    words = ["debug", "tools", "--image=host", "--profile=sysadmin", "-c", "root"]
    tools.kubectl(*words, "--", "sh", "-c", f"{read} && echo read; sleep 1000")
    eventually(lambda: "running" in ephemeral(tools, "root")["state"])
    eventually(lambda: "read" in tools.kubectl("logs", "tools", "-c", "root").stdout)
    refused = tools.kubectl("exec", "tools", "-c", "main", "--", "sh", "-c", read, check=False)
    assert refused.returncode != 0 and "Operation not permitted" in refused.stderr


def test_cp_there_and_back(tools: Cluster, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "below" / "script").write_bytes(bytes(range(256)) * 5000)
    (source / "below" / "script").chmod(0o755)
    tools.kubectl("cp", str(source), "tools:/tmp/there", "-c", "main")
    tools.kubectl("cp", "tools:/tmp/there", str(tmp_path / "back"), "-c", "main")
    copied = tmp_path / "back" / "below" / "script"
    assert copied.read_bytes() == (source / "below" / "script").read_bytes()
    inside = ("exec", "tools", "-c", "main", "--", "stat", "-c", "%a", "/tmp/there/below/script")
    assert tools.kubectl(*inside).stdout == "755\n"


def test_port_forward_carries_requests_side_by_side(tools: Cluster) -> None:
    with tools.terminal("port-forward", "pod/tools", ":8080") as terminal:
        port = terminal.expect(r"127\.0\.0\.1:(\d+) -> 8080")[1]

        def ask(_: int) -> int:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=50) as reply:
                return int(reply.status)

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert set(pool.map(ask, range(20))) == {200}
        terminal.type("\x03")
        terminal.wait()


def test_logs_of_the_run_before_and_of_this_one_as_they_come(tools: Cluster) -> None:
    tools.apply(CRASHING)
    eventually(lambda: tools.kubectl("logs", "crashing").stdout == "run 1\n")
    assert tools.kubectl("logs", "--previous", "crashing").stdout == "run 0\n"
    with tools.terminal("logs", "-f", "--timestamps", "crashing") as terminal:
        terminal.expect(r"\d+Z run 1\n")
        tools.kubectl("exec", "crashing", "--", "touch", "/count/go")
        terminal.expect(r"\d+Z over\n")
        tools.kubectl("delete", "pod", "crashing", "--wait=false")
        assert terminal.wait() == 0


def test_drain_asks_before_it_deletes_what_nobody_makes_again(tools: Cluster) -> None:
    (node,) = tools.get("nodes")["items"]
    name = node["metadata"]["name"]
    refused = tools.kubectl("drain", name, "--delete-emptydir-data", check=False)
    assert refused.returncode == 1
    assert "default/tools" in refused.stderr
    tools.kubectl("drain", name, "--delete-emptydir-data", "--force", "--timeout=50s")
    assert tools.get("pods")["items"] == []
    tools.kubectl("uncordon", name)
