"""What the page changes: creation, rollouts, nodes, many objects at once."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from tests.cluster.world import eventually
from tests.ui.shop import ROW, SHOP, Shop, put

TWO_OBJECTS = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: made-here
data:
  a: "<b id=bold>1</b>"
---
# A comment, and another namespace than the one that is chosen.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: made-too
  namespace: shop
spec:
  replicas: -1
  selector: {matchLabels: {app: made}}
  template:
    metadata: {labels: {app: made}}
    spec:
      containers:
      - {name: main, image: host, command: [sleep, "1000"]}
"""


DAEMON = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: guard, namespace: default}
spec:
  selector: {matchLabels: {app: guard}}
  template:
    metadata: {labels: {app: guard}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: host, command: [sleep, "1000"]}]
"""


def test_objects_are_created_from_yaml(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/configmaps?namespace=shop")
    browser.see(".bar .button", "Create")
    browser.press("c")
    browser.see("textarea")
    assert "kind: ConfigMap" in shop.typed()
    put(browser, TWO_OBJECTS)
    browser.click(".create button", "Try")
    browser.see(".results", "ConfigMap made-here")
    browser.see(".field-problems", "spec.replicas")
    line = TWO_OBJECTS.splitlines().index("  replicas: -1") + 1
    browser.see(".field-problems button", f"line {line}")
    put(browser, TWO_OBJECTS.replace("-1", "0"))
    browser.click(".create button", "Create")
    browser.see(".results", "Deployment made-too")
    browser.click(".results button", "made-here")
    browser.see(".drawer", "<b id=bold>1</b>")
    assert cluster.get("cm", "made-here", "-n", "shop")["data"] == {"a": "<b id=bold>1</b>"}
    assert cluster.get("deploy", "made-too", "-n", "shop")["spec"]["replicas"] == 0


def test_what_is_no_yaml_is_shown_at_its_line(shop: Shop) -> None:
    browser = shop.browser
    browser.go("#/create?kind=pods&namespace=shop")
    browser.see("textarea")
    put(browser, "apiVersion: v1\nkind: Pod\nmetadata: {name: [}\n")
    browser.click(".create button", "Create")
    browser.see(".field-problems button", "line 3")


def test_an_image_is_set_and_rolled_back(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/deployments.apps?namespace=shop&open=deployments.apps/shop/roller")
    browser.click(".drawer .actions button", "Set image")
    browser.write("dialog input", "localhost/other:2")
    browser.press(Keys.ENTER)
    browser.see(".drawer .facts", "localhost/other:2")
    browser.click(".drawer .actions button", "Roll back")
    browser.see("dialog tbody tr", "localhost/other:2")
    violations = browser.violations()
    browser.click('dialog [aria-label="Go back to revision 1"]')
    browser.see(".toast", "Roll Deployment roller back to revision 1")
    browser.miss(".drawer .facts", "localhost/other:2")
    assert shop.image("deployment", "roller") == "host"
    assert "pod-template-hash" not in str(cluster.get("deploy", "roller", "-n", "shop")["spec"])
    assert violations == []


@pytest.mark.parametrize("kind", ["statefulset", "daemonset"])
def test_controller_revisions_are_rolled_back(shop: Shop, kind: str) -> None:
    cluster, browser = shop
    cluster.kubectl("-n", "shop", "set", "image", f"{kind}/roller", "main=localhost/other:2")
    eventually(lambda: shop.revisions(kind) == 2)
    browser.go(f"#/list/{kind}s.apps?namespace=shop&open={kind}s.apps/shop/roller")
    browser.click(".drawer .actions button", "Roll back")
    browser.click('dialog [aria-label="Go back to revision 1"]')
    browser.miss(".drawer .facts", "localhost/other:2")
    assert shop.image(kind, "roller") == "host"


def test_a_cron_job_is_triggered(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/cronjobs.batch?namespace=shop&open=cronjobs.batch/shop/yearly")
    browser.click(".drawer .actions button", "Trigger")
    browser.see(".drawer .links", "yearly-manual-")
    (job,) = cluster.get("jobs", "-n", "shop")["items"]
    assert job["metadata"]["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    assert job["metadata"]["ownerReferences"][0]["name"] == "yearly"


def test_selected_rows_are_changed_together(shop: Shop) -> None:
    cluster, browser = shop
    for name in ("together-1", "together-2", "together-3"):
        cluster.kubectl("-n", "shop", "create", "configmap", name)
    browser.go("#/list/configmaps?namespace=shop&filter=together")
    browser.see('[data-count="3"]')
    browser.press(Keys.ARROW_DOWN, " ", Keys.ARROW_DOWN, " ")
    browser.see(".bulk", "2 selected")
    violations = browser.violations()
    browser.click(".bulk button", "Delete")
    browser.see(".toast", "Delete 2 objects")
    browser.see('[data-count="1"]')
    browser.see(ROW, "together-3")
    browser.click("th.pick input")
    browser.see(".bulk", "1 selected")
    assert "together-3" in cluster.kubectl("-n", "shop", "get", "cm", "-o", "name").stdout
    assert violations == []


def test_a_node_is_drained(shop: Shop) -> None:
    """What has a controller comes back elsewhere, here as pending; DaemonSets stay."""
    cluster, browser = shop
    cluster.apply(DAEMON)
    guards = eventually(lambda: shop.pods("app=guard", "default"))
    browser.go("#/list/nodes?open=nodes/node-1")
    browser.click(".drawer .actions button", "Drain")
    browser.see("dialog li", "Nothing makes these anew")
    browser.see("dialog li", "shop/crasher")
    violations = browser.violations()
    browser.click("dialog button.primary", "Drain")
    try:
        browser.see(".toast", "node-1 is drained")
        assert cluster.get("node", "node-1")["spec"]["unschedulable"] is True
        assert shop.pods("app=guard", "default") == guards
        assert violations == []
    finally:
        cluster.kubectl("uncordon", "node-1")
        cluster.kubectl("delete", "daemonset", "guard", "--cascade=foreground")
        cluster.apply(SHOP.read_text())
