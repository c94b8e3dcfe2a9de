"""Names and their deadlines, with a resolver that never answers, in namespaces of the test's
own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubelite.node.kubelet.probe.lookup import addresses

MUTE = """
import socket, subprocess, sys, threading, time
from kubelite.node.kubelet.probe.tcp_connect import Deadline, dial
import os
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
mute.bind(("127.0.0.1", 53))
began = time.monotonic()
for _ in range(3):
    try:
        dial(os.getpid(), "nobody.example", 80, Deadline(0.3))
    except TimeoutError as error:
        print("late", error)
lookups = sum(thread.name.startswith("lookup") for thread in threading.enumerate())
print(round(time.monotonic() - began, 1), lookups)
os._exit(0)
"""


def test_numbers_are_not_looked_up() -> None:
    assert [each[4][:2] for each in addresses("192.0.2.1", 80, 0)] == [("192.0.2.1", 80)]
    assert [each[4][:2] for each in addresses("::1", 80, 0)] == [("::1", 80)]


def test_a_name_of_this_machine_is_found() -> None:
    assert ("127.0.0.1", 80) in [each[4][:2] for each in addresses("localhost", 80, 10)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_resolver_that_does_not_answer_costs_the_timeout_and_one_thread(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\noptions timeout:5 attempts:2\n")
    words = ["unshare", "-nm", "--propagation", "private", sys.executable, "-c", MUTE, str(conf)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    *late, last = done.stdout.splitlines()
    assert late == ["late lookup nobody.example: i/o timeout"] * 3
    took, threads = last.split()
    assert 0.9 <= float(took) < 4 and threads == "1"
