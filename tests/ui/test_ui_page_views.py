"""What the page draws: figures over time, and how objects hang together."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.cluster.world import eventually
from tests.ui.shop import Shop

AUTOSCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: roller, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: roller}
  minReplicas: 1
  maxReplicas: 3
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
"""
ECHO = f"""
apiVersion: v1
kind: Pod
metadata: {{name: echo, namespace: default}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: host
    command:
    - {sys.executable}
    - -c
    - |
      import socketserver
      class Echo(socketserver.BaseRequestHandler):
        def handle(self):
          head = b"HTTP/1.0 200 OK\\r\\nContent-Type: text/plain\\r\\n\\r\\n"
          self.request.sendall(head + self.request.recv(65536))
      socketserver.TCPServer(("", 8080), Echo).serve_forever()
    ports: [{{containerPort: 8080}}]
    readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
"""
PAIR = """
apiVersion: v1
kind: Pod
metadata: {name: pair, namespace: shop}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: one
    image: host
    command: [sh, -c, "echo '<b id=bold>one</b>'; exec sleep 1000"]
    startupProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    livenessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
  - name: two
    image: host
    command: [sh, -c, "echo two; exec sleep 1000"]
    readinessProbe: {exec: {command: [sh, -c, "echo '<b id=bold>'; exit 1"]}, periodSeconds: 1}
"""
PLACE = "/tmp/kubelite-ui-files"
LINE = "figure.chart path[d^=M]"


def test_what_a_node_and_a_pod_use_is_drawn(shop: Shop) -> None:
    browser = shop.browser
    browser.go("#/overview")
    browser.see(".spark", "iB")
    browser.go("#/list/nodes?open=nodes/node-1")
    browser.see(".drawer figure.chart", "CPU")
    browser.see(".drawer figure.chart", "Memory")
    browser.see(".drawer figure.chart", "received")
    browser.see(f".drawer {LINE}")
    violations = browser.violations()
    browser.go(f"#/pod/shop/{shop.pod()}")
    browser.see("figure.chart", "of 64.0 MiB")
    assert violations + browser.violations() == []


def test_a_chart_is_looked_at_more_closely(shop: Shop) -> None:
    """By the keyboard the last minutes, by dragging any part; all charts of a group go with it."""
    browser = shop.browser
    browser.go("#/list/nodes?open=nodes/node-1")
    browser.see(f".drawer {LINE}")
    browser.see(".charts-head button", "1 min").send_keys(Keys.ENTER)
    browser.see('.charts-head [aria-pressed="true"]', "1 min")
    browser.miss(".drawer .axis", "15m ago")
    chart = browser.see(".drawer figure.chart svg")
    half = chart.size["width"] // 2
    drag = ActionChains(browser.driver).move_to_element_with_offset(chart, -half + 5, 0)
    drag.click_and_hold().move_by_offset(half, 0).release().perform()
    browser.miss(".drawer .axis", "now")
    assert browser.count('.charts-head [aria-pressed="true"]') == 0
    assert browser.violations() == []
    browser.click(".charts-head button", "15 min")
    browser.see(".drawer .axis", "15m ago")


def test_logs_of_all_containers_and_what_came_of_probes(shop: Shop) -> None:
    cluster, browser = shop
    cluster.apply(PAIR)
    browser.go("#/pod/shop/pair")
    browser.see(".probe", "startup: true every 1 s, 3 failures")
    browser.see(".probe", "passed")
    browser.see(".probe", "passes")
    browser.see(".probe", "fails")
    browser.see(".probe", "Readiness probe failed: <b id=bold>")
    violations = browser.violations()
    browser.go("#/pod/shop/pair?tab=logs&container=*")
    browser.see(".log-line", "one | <b id=bold>one</b>")
    browser.see(".log-line", "two | two")
    browser.click(".logs button", "Times")
    browser.see(".log-line", "two | 20")
    browser.see("select", "All containers")
    assert browser.count("#page b#bold") == 0
    assert violations + browser.violations() == []
    cluster.kubectl("-n", "shop", "delete", "pod", "pair")


def test_what_an_autoscaler_looks_at_is_drawn(shop: Shop) -> None:
    shop.cluster.apply(AUTOSCALER)
    shop.browser.go(
        "#/list/horizontalpodautoscalers.autoscaling?namespace=shop"
        "&open=horizontalpodautoscalers.autoscaling/shop/roller"
    )
    shop.browser.see(".drawer .facts", "Deployment roller")
    shop.browser.see(".drawer figure.chart", "Replicas")
    shop.cluster.kubectl("-n", "shop", "delete", "hpa", "roller")


def test_the_map_leads_from_a_service_to_a_node(shop: Shop) -> None:
    cluster, browser = shop
    cluster.kubectl("-n", "shop", "expose", "deployment", "web", "--port=80")
    browser.go("#/topology?namespace=shop")
    browser.see(".map .box", "web")
    browser.see(".map .box.bad", "crasher")
    browser.see('.map section[aria-label="Service"] .box', "web")
    browser.see('.map section[aria-label="Node"] .box', "Ready")
    assert browser.count(".map .links path") >= 4
    violations = browser.violations()
    browser.click(".map .box", "crasher")
    browser.see(".drawer h2", "crasher")
    cluster.kubectl("-n", "shop", "delete", "service", "web")
    browser.miss('.map section[aria-label="Service"] .box', "web")
    assert violations == []


def test_files_are_looked_at_taken_out_and_put_in(shop: Shop, tmp_path: Path) -> None:
    cluster, browser = shop
    pod = shop.pod()
    script = f"mkdir -p {PLACE}; cd {PLACE}; printf 'some\\n\\001bytes' > '<b id=bold>'; mkdir sub"
    cluster.kubectl("-n", "shop", "exec", pod, "--", "sh", "-c", script)
    downloads = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    browser.go(f"#/pod/shop/{pod}?tab=files&path={PLACE}")
    browser.see(".files tbody tr", "<b id=bold>")
    violations = browser.violations()
    browser.click('[aria-label="Download <b id=bold>"]')
    browser.click('[aria-label="Download sub"]')

    def taken() -> list[bytes]:
        return sorted(file.read_bytes()[:10] for file in tmp_path.iterdir())

    assert eventually(lambda: taken() == [b"some\n\x01byte", b"sub/" + bytes(6)])
    (tmp_path / "put here").write_bytes(bytes(range(256)) * 1000)
    browser.driver.find_element(By.CSS_SELECTOR, ".files input[type=file]").send_keys(
        str(tmp_path / "put here")
    )
    browser.see(".files tbody tr", "put here")
    read = f"sha256sum < '{PLACE}/put here'; rm -r {PLACE}"
    said = cluster.kubectl("-n", "shop", "exec", pod, "--", "sh", "-c", read).stdout
    assert said.split()[0] == hashlib.sha256((tmp_path / "put here").read_bytes()).hexdigest()
    browser.click(".files tbody button", "one up")
    browser.see(".files tbody tr", "one up")
    browser.write(".files .path input", "/none")
    browser.press(Keys.ENTER)
    browser.see(".problem", "/none")
    assert browser.count("#page b#bold") == 0
    assert violations == [], violations


def test_a_port_of_a_pod_is_forwarded_by_a_link(shop: Shop) -> None:
    """To an address to which the page's cookie is not sent."""
    cluster, browser = shop
    cluster.apply(ECHO)
    cluster.kubectl("wait", "pod/echo", "--for=condition=Ready", "--timeout=60s")
    browser.go("#/pod/default/echo")
    browser.click(".actions button", "Forward port")
    browser.see("dialog input")
    violations = browser.violations()
    browser.press(Keys.ENTER)
    address = browser.see("dialog a").get_attribute("href") or ""
    assert address.startswith("http://127.0.0.2:")
    browser.driver.get(address)
    sent = browser.text("body")
    assert sent.startswith("GET / HTTP/1.1") and "cookie" not in sent.lower()
    cluster.kubectl("delete", "pod", "echo", "--grace-period=0", "--force")
    assert violations == []
