"""A pod asks for names all the time while the process that answers is killed."""

from __future__ import annotations

import json
import os
import signal

from tests.cluster.world import Cluster, eventually

ASK = """
import json, os, socket, struct, threading, time
parts = b"kubernetes.default.svc.cluster.local".split(b".")
name = b"".join(bytes([len(part)]) + part for part in parts)
question = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">BHH", 0, 1, 1)
server = ("10.96.0.10", 53)
lock = threading.Lock()
count = {"udp": 0, "tcp": 0, "lost": 0, "slowest": 0.0}

# Nothing is asked twice. How long a slow machine takes to start a process is another question.
def is_answer(reply):
    return len(reply) > 12 and reply[3] & 15 == 0 and reply[6:8] == bytes([0, 1])

def by_udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(60)
        udp.connect(server)
        udp.send(question)
        return udp.recv(512)

def by_tcp():
    with socket.create_connection(server, 60) as tcp:
        tcp.sendall(struct.pack(">H", len(question)) + question)
        return tcp.recv(512)[2:]

def ask(kind, way):
    began = time.monotonic()
    try:
        good = is_answer(way())
    except OSError:
        good = False
    with lock:
        count[kind] += 1
        count["lost"] += not good
        count["slowest"] = max(count["slowest"], time.monotonic() - began)

open("/tmp/asking", "w").close()
threads = []
while not os.path.exists("/tmp/enough"):
    for kind, way in (("udp", by_udp), ("tcp", by_tcp)):
        thread = threading.Thread(target=ask, args=(kind, way))
        thread.start()
        threads.append(thread)
    time.sleep(0.05)
for thread in threads:
    thread.join()
print(json.dumps(count), flush=True)
time.sleep(3600)
"""


def manifest() -> str:
    container = {"name": "a", "image": "host", "command": ["python3", "-c", ASK]}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
    }
    kind = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asks"}, "spec": spec}
    return json.dumps(kind)


def test_no_question_is_lost_while_the_node_agent_is_killed(cluster: Cluster) -> None:
    cluster.apply(manifest())
    cluster.kubectl("wait", "--for=condition=Ready", "pod/asks", "--timeout=60s")
    inside = ("pod", "exec", "asks", "--", "sh", "-c")
    eventually(lambda: cluster.kl(*inside, "test -e /tmp/asking", check=False).returncode == 0)
    for _ in range(2):
        before = cluster.child("node")
        os.kill(before, signal.SIGKILL)
        eventually(lambda pid=before: cluster.child("node") not in (0, pid), seconds=60)
        eventually(
            lambda: cluster.kubectl("exec", "asks", "--", "true", check=False).returncode == 0
        )
    cluster.kl(*inside, "touch /tmp/enough")
    count = json.loads(eventually(lambda: cluster.kl("pod", "logs", "asks").stdout))
    print(count)
    assert count["lost"] == 0 and count["udp"] > 20 and count["tcp"] > 20
