"""What the page draws: figures over time, and how objects hang together."""

from __future__ import annotations

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
