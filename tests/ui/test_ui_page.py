"""The page in a real browser, before a whole cluster."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.cluster.world import eventually
from tests.ui.browser import Browser, serving
from tests.ui.shop import ROW, Shop, put

HOSTILE_EVENT = """
apiVersion: v1
kind: Event
metadata: {name: hostile, namespace: shop}
type: Warning
reason: "<u>Underlined</u>"
message: "<svg onload=pwned()>hostile message"
involvedObject: {apiVersion: v1, kind: Pod, name: "crasher", namespace: shop}
"""
DELETE_AND_UNDO = """
const buttons = () => [...document.querySelectorAll("button")];
const button = (text) => buttons().find((one) => one.innerText === text);
const done = arguments[0];
const undo = () => {
  if (!button("Undo")) return setTimeout(undo);
  button("Undo").click();
  done();
};
button("Delete").click();
undo();
"""
"""In the page, so that a slow machine does not need the five seconds for the way there."""
DELETE_AND_UNDO_BY_KEY = DELETE_AND_UNDO.replace(
    'button("Undo").click()',
    'document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "u", bubbles: true }))',
)
SURPLUS = """
const place = document.querySelector(arguments[0]);
return place.scrollWidth - place.clientWidth;
"""
"""How much wider something is than what is seen of it."""
SQUEEZED = """
return [...document.querySelectorAll("h1:not(.sr), .drawer h2, #page button")]
  .filter((one) => one.offsetParent && one.offsetHeight > 3 * one.offsetWidth)
  .map((one) => one.innerText);
"""
"""What is so narrow that its text runs downwards."""


def test_the_overview_begins_with_what_is_wrong(shop: Shop) -> None:
    browser = shop.browser
    browser.go("#/overview")
    browser.see(".problems li", "CrashLoopBackOff")
    browser.see(".problems li", "exit code 3")
    browser.see(".problems li", "No node fits")
    browser.see(".problems li", "No volume of class missing")
    browser.see("table.plain tbody tr", "Ready")
    browser.see(".tiles", "Started in")
    browser.click(".problems li button", "crasher")
    browser.see(".drawer", "keeps ending")
    browser.go("#/overview?open=pods/shop/toobig")
    browser.see(".placement tr", "Insufficient cpu")


def test_a_list_follows_other_clients(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/configmaps?namespace=shop")
    browser.see(ROW, "hostile")
    browser.see(".live", "live")
    cluster.kubectl("-n", "shop", "create", "configmap", "coming", "--from-literal=a=b")
    browser.see(ROW, "coming")
    cluster.kubectl("-n", "shop", "patch", "configmap", "coming", "-p", '{"data":{"b":"c"}}')
    browser.see(f'{ROW}[data-key="shop/coming"]', "2")
    cluster.kubectl("-n", "shop", "delete", "configmap", "coming")
    browser.miss(ROW, "coming")


def test_rows_stay_what_they_are_while_they_share_elements(shop: Shop) -> None:
    """Far more rows than there are elements: scrolled, moved in by keys, changed by others."""
    cluster, browser = shop
    names = [f"many-{number:02}" for number in range(70)]
    kind = "apiVersion: v1\nkind: ConfigMap\nmetadata: "
    objects = "\n---\n".join(f"{kind}{{name: {one}}}" for one in names)
    cluster.kubectl("create", "namespace", "many")
    cluster.kubectl("-n", "many", "create", "-f", "-", given=objects)
    browser.size(1440, 400)
    try:
        browser.go("#/list/configmaps?namespace=many&filter=many-")
        browser.see('[data-count="70"]')
        browser.wait(lambda: browser.count(ROW) < 50, "all rows have elements")
        browser.driver.execute_script("document.querySelector('.grid').scrollTop = 900")
        browser.wait(lambda: "many-45" in in_order(browser), "the rows in view are not in order")
        shown = in_order(browser)
        assert shown == names[names.index(shown[0]) : names.index(shown[-1]) + 1]
        browser.press(Keys.END)
        browser.wait(lambda: focused(browser) == "many/many-69", "the last row has no focus")
        browser.wait(lambda: in_order(browser)[-1:] == names[-1:], "the last rows are not shown")
        assert focused(browser) == "many/many-69"
        cluster.kubectl("-n", "many", "delete", "configmap", "many-60")
        browser.see('[data-count="69"]')
        assert focused(browser) == "many/many-69"
        browser.press(Keys.ENTER)
        browser.see(".drawer h2", "many-69")
    finally:
        browser.size(1440, 900)
        cluster.kubectl("delete", "namespace", "many", "--wait=false")


def in_order(browser: Browser) -> list[str]:
    """The names of the rows that exist, empty while their elements stand in another order."""
    keys = browser.driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((one) => one.dataset.key)", ROW
    )
    names = [key.partition("/")[2] for key in keys]
    return names if names == sorted(names) else []


def focused(browser: Browser) -> str | None:
    """The key of the row that has the focus."""
    return browser.driver.switch_to.active_element.get_attribute("data-key")


def test_words_and_labels_filter_and_columns_sort(shop: Shop) -> None:
    browser = shop.browser
    browser.go("#/list/pods?namespace=shop")
    browser.see(ROW, "toobig")
    browser.see('[data-count="4"]')
    browser.write("[data-filter]", "app=web")
    browser.miss(ROW, "crasher")
    browser.see('[data-count="2"]')
    browser.write("[data-filter]", "pending")
    browser.see('[data-count="1"]')
    browser.write("[data-filter]", "nothing-like-this")
    browser.see(".nothing", "No object passes the filter")
    browser.go("#/list/pods?namespace=shop")
    browser.see(ROW, "crasher")
    browser.click(".grid th button", "Name")
    browser.click(".grid th button", "Name")
    browser.see('th[aria-sort="descending"]', "Name")
    assert browser.texts(f"{ROW} td.name")[-1] == "crasher"


def test_the_page_recovers_when_the_server_restarts(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/configmaps?namespace=shop&open=configmaps/shop/hostile")
    browser.see(".live", "live")
    browser.see(".drawer", "hostile")
    os.kill(cluster.child("server"), signal.SIGKILL)
    eventually(
        lambda: cluster.kubectl("-n", "shop", "label", "cm", "hostile", "tier=restarted").stdout
    )
    cluster.kubectl("-n", "shop", "create", "configmap", "later")
    browser.see(ROW, "later")
    browser.see(".drawer", "tier=restarted")


def test_an_object_is_edited_with_its_errors_at_their_lines(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/deployments.apps?namespace=shop&open=deployments.apps/shop/web&tab=yaml")
    browser.see(".yaml pre", "replicas: 2")
    assert "managedFields" not in browser.text(".yaml pre")
    browser.click(".yaml button", "Edit")
    draft = browser.driver.execute_script("return document.querySelector('textarea').value")
    put(browser, draft.replace("replicas: 2", "replicas: -1"))
    browser.click(".yaml button", "Try")
    browser.see(".field-problems", "spec.replicas")
    line = draft.splitlines().index("  replicas: 2") + 1
    browser.see(".field-problems button", f"line {line}")
    put(browser, draft.replace("replicas: 2", "replicas: 3"))
    browser.click(".yaml button", "Try")
    browser.see(".yaml .state", "The server would accept this")
    browser.see(".difference .removed", "replicas: 2")
    browser.see(".difference .added", "replicas: 3")
    assert browser.violations() == []
    assert cluster.get("deployment", "web", "-n", "shop")["spec"]["replicas"] == 2
    browser.click(".yaml button", "Save")
    browser.see(".yaml pre", "replicas: 3")
    assert cluster.get("deployment", "web", "-n", "shop")["spec"]["replicas"] == 3


def test_actions_wait_and_can_be_undone(shop: Shop) -> None:
    cluster, browser = shop
    cluster.kubectl("-n", "shop", "create", "configmap", "kept")
    cluster.kubectl("-n", "shop", "create", "configmap", "removed")
    browser.go("#/list/configmaps?namespace=shop&open=configmaps/shop/kept")
    browser.see(".drawer .actions button", "Delete")
    browser.driver.execute_async_script(DELETE_AND_UNDO)
    browser.miss(".toast", "Delete")
    browser.go("#/list/configmaps?namespace=shop&open=configmaps/shop/removed")
    browser.click(".drawer .actions button", "Delete")
    browser.see(".toast", "Delete ConfigMap removed")
    browser.miss(ROW, "removed")
    assert "kept" in cluster.kubectl("-n", "shop", "get", "configmaps", "-o", "name").stdout


def test_a_deployment_is_scaled_and_restarted(shop: Shop) -> None:
    cluster, browser = shop
    browser.go("#/list/deployments.apps?namespace=shop&open=deployments.apps/shop/web")
    browser.click(".drawer .actions button", "Restart rollout")
    browser.click(".drawer .actions button", "Scale")
    browser.write("dialog input", "1")
    browser.press(Keys.ENTER)
    browser.see(".drawer .facts", "1 ready of 1")

    def changed() -> bool:
        spec = cluster.get("deployment", "web", "-n", "shop")["spec"]
        annotations = spec["template"]["metadata"].get("annotations", {})
        return spec["replicas"] == 1 and "kubectl.kubernetes.io/restartedAt" in annotations

    assert eventually(changed)


def test_a_pod_shows_its_start_its_log_and_a_shell(shop: Shop) -> None:
    browser, pod = shop.browser, shop.pod()
    browser.go(f"#/pod/shop/{pod}")
    browser.see(".timeline", "Ready")
    browser.see(".containers", "readiness: true every 5 s")
    browser.click('[data-tab="logs"]')
    browser.see(".log-line", "GET /page/")
    last = browser.texts(".log-line")[-1]
    browser.wait(lambda: browser.texts(".log-line")[-1] != last, "the log is not followed")
    browser.write("[data-filter]", "started")
    browser.see(".log-line", "<img src=x onerror=pwned()> started")
    browser.see(".log-lines mark", "started")
    browser.miss(".log-lines", "GET")
    assert browser.count("#page :is(img:not(.brand img), u)") == 0
    browser.click('[data-tab="terminal"]')
    browser.see(".xterm-rows", "#")
    browser.press("printf '%s-%s\\n' ready '<b>now</b>'", Keys.ENTER)
    browser.see(".xterm-rows", "ready-<b>now</b>")
    browser.press("exit 3", Keys.ENTER)
    browser.see(".shell", "exit code 3")
    assert [line for line in browser.complaints() if "Content Security Policy" in line] == []


def test_the_log_of_the_run_before(shop: Shop) -> None:
    browser = shop.browser
    browser.go("#/pod/shop/crasher?tab=logs")
    browser.click(".logs button", "Previous run")
    browser.see(".log-lines", "no configuration file")


def test_hostile_content_is_only_text(shop: Shop) -> None:
    cluster, browser = shop
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.apply(f'{HOSTILE_EVENT}lastTimestamp: "{now}"\nfirstTimestamp: "{now}"\n')
    for fragment, text in (
        ("#/overview", "hostile message"),
        ("#/list/configmaps?namespace=shop&open=configmaps/shop/hostile", "<script>pwned()"),
        ("#/list/configmaps?namespace=shop&open=configmaps/shop/hostile&tab=yaml", "onerror"),
        ("#/list/events?namespace=shop", "<svg onload=pwned()>"),
        ("#/list/<img src=x onerror=pwned()>", "<img src=x"),
        ("#/pod/shop/<svg onload=pwned()>", "<svg onload"),
    ):
        browser.go(fragment)
        browser.see("#page", text)
        made = "#page :is(img:not(.brand img), script, svg:not(.chart), b#bold, u, iframe)"
        assert browser.count(made) == 0


def test_what_a_viewer_may_not_do_is_not_there(shop: Shop, tmp_path: Path) -> None:

    cluster, browser = shop
    config = tmp_path / "viewer"
    config.write_text(Path(cluster.kubeconfig).read_text())
    token = cluster.kubectl("-n", "shop", "create", "token", "viewer").stdout.strip()
    words = ["--kubeconfig", str(config), "config"]
    cluster.kubectl(*words, "set-credentials", "viewer", f"--token={token}")
    cluster.kubectl(*words, "set-context", "--current", "--user=viewer")
    pod = shop.pod()
    with serving(cluster, "--kubeconfig", str(config)) as address:
        viewer = Browser(browser.driver, address)
        viewer.enter(address)
        viewer.go("#/list/deployments.apps?namespace=shop&open=deployments.apps/shop/web")
        viewer.see(".drawer .facts", "app=web")
        viewer.go(f"#/list/pods?namespace=shop&open=pods/shop/{pod}")
        viewer.see(".drawer .actions", "Logs")
        viewer.click('.drawer [data-tab="yaml"]')
        viewer.see(".yaml pre", "kind: Pod")
        viewer.see(".yaml button", "Copy")
        assert viewer.texts(".drawer .actions > *") == ["Open pod", "Logs"]
        assert not any("Edit" in text for text in viewer.texts(".yaml button"))
        viewer.go(f"#/pod/shop/{pod}")
        viewer.see(".tabs", "Logs")
        assert "Terminal" not in viewer.text(".tabs")
        viewer.go("#/list/secrets?namespace=shop")
        viewer.see(".problem", "forbidden")


def test_pods_without_a_cluster(shop: Shop) -> None:
    cluster, browser = shop
    script = "echo alone on this machine; exec sleep 1000"
    cluster.kl("pod", "run", "--name", "alone", "host", "--", "sh", "-c", script)
    with serving(cluster, "--local") as address:
        local = Browser(browser.driver, address)
        local.enter(address)
        local.go("#/list/pods?namespace=default")
        local.see(f'{ROW}[data-key="default/alone"]', "Running")
        kinds = local.texts("nav.side section a")
        assert kinds == ["Pods", "Nodes", "Namespaces", "Events"]
        violations = local.violations()
        local.go("#/pod/default/alone?tab=logs")
        local.see(".log-lines", "alone on this machine")
        local.click('[data-tab="terminal"]')
        local.see(".xterm-rows", "#")
        local.press("echo $((6*7))-answer", Keys.ENTER)
        local.see(".xterm-rows", "42-answer")
        local.go("#/topology")
        local.see(".map .box", "alone")
        assert violations + local.violations() == []
    cluster.kl("pod", "down", "alone", "--grace-period", "0")


def test_everything_by_the_keyboard(shop: Shop) -> None:
    browser = shop.browser
    browser.go("#/overview")
    browser.see(".problems")
    browser.press(":")
    browser.see("dialog input")
    browser.press("po", Keys.ENTER)
    browser.see("h1", "Pods")
    browser.see(ROW, "crasher")
    browser.press("/", "crasher", Keys.ENTER)
    browser.see('[data-count="1"]')
    browser.press(Keys.ARROW_DOWN, Keys.ENTER)
    browser.see(".drawer h2", "crasher")
    browser.press(Keys.ESCAPE)
    browser.miss(".drawer h2", "crasher")
    assert browser.driver.switch_to.active_element.get_attribute("data-key") == "shop/crasher"
    browser.press("e")
    browser.see(".drawer .yaml pre", "name: crasher")
    browser.press(Keys.ESCAPE)
    browser.miss(".drawer h2", "crasher")
    browser.press("l")
    browser.see(".log-lines", "no configuration file")
    browser.go("#/list/configmaps?namespace=shop&filter=hostile")
    browser.see(ROW, "hostile")
    browser.press(Keys.ARROW_DOWN, " ")
    browser.see(".bulk", "1 selected")
    browser.driver.execute_async_script(DELETE_AND_UNDO_BY_KEY)
    browser.miss(".toast", "Delete")
    browser.see(ROW, "hostile")
    browser.press("?")
    browser.see("dialog", "Keyboard")
    browser.press(Keys.ESCAPE)
    browser.miss("dialog", "Keyboard")


def test_axe_finds_no_violation(shop: Shop) -> None:
    """Everything in the light, and colours once more in the dark."""
    browser, pod = shop.browser, shop.pod()
    web = "#/list/deployments.apps?open=deployments.apps/shop/web"
    violations = {}
    for name, fragment, selector in (
        ("overview", "#/overview", ".problems li"),
        ("list", "#/list/pods", ROW),
        ("object", web, ".drawer .links"),
        ("yaml", f"{web}&tab=yaml", ".yaml .key"),
        ("events", "#/list/pods?open=pods/shop/crasher&tab=events", ".events li"),
        ("create", "#/create?kind=deployments.apps", ".yaml .numbers"),
        ("topology", "#/topology?namespace=shop", ".map .box"),
        ("pod", f"#/pod/shop/{pod}", ".containers"),
        ("logs", f"#/pod/shop/{pod}?tab=logs", ".log-line"),
        ("terminal", f"#/pod/shop/{pod}?tab=terminal", ".xterm-rows"),
        ("files", f"#/pod/shop/{pod}?tab=files&path=/etc", ".files tbody tr"),
        ("events of a pod", "#/pod/shop/crasher?tab=events", ".events li"),
        ("YAML of a pod", f"#/pod/shop/{pod}?tab=yaml", ".yaml .key"),
        ("node", "#/list/nodes?open=nodes/node-1", ".drawer figure.chart"),
        ("placement", "#/pod/shop/toobig", ".placement tr"),
        ("nothing", "#/list/jobs.batch?filter=none", ".nothing"),
        ("no such kind", "#/list/none", ".problem"),
    ):
        browser.go(fragment)
        browser.see(selector)
        violations[name] = browser.violations()
        browser.screenshot(name)
        browser.media(color_scheme="dark")
        violations[f"{name}, dark"] = browser.violations("color-contrast")
        browser.screenshot(f"{name}-dark")
        browser.media()
    browser.go("#/list/pods")
    browser.see(ROW)
    browser.press(":")
    browser.see("dialog [role=option]")
    violations["go to kind"] = browser.violations()
    browser.press(Keys.ESCAPE)
    browser.miss("dialog [role=option]")
    browser.press("?")
    browser.see("dialog", "Keyboard")
    violations["help"] = browser.violations()
    for title in ("Scale", "Set image"):
        browser.go(web)
        browser.click(".drawer .actions button", title)
        browser.see("dialog input")
        violations[title] = browser.violations()
    browser.go(f"{web}&tab=yaml")
    browser.click(".yaml button", "Edit")
    browser.see("textarea")
    violations["edit"] = browser.violations()
    assert {name: rules for name, rules in violations.items() if rules} == {}


@pytest.mark.parametrize(("width", "height"), [(360, 740), (720, 450)], ids=["360px", "zoom"])
def test_nothing_is_cut_off_when_narrow(shop: Shop, width: int, height: int) -> None:
    """720 by 450 is a window of 1440 by 900 at 200 % zoom."""
    browser, pod = shop.browser, shop.pod()
    browser.size(width, height)
    try:
        for fragment, selector in (
            ("#/overview", ".problems li"),
            ("#/list/pods", ROW),
            ("#/list/pods?open=pods/shop/crasher", ".drawer .facts"),
            ("#/create?kind=pods", ".yaml .numbers"),
            ("#/topology?namespace=shop", ".map .box"),
            (f"#/pod/shop/{pod}", ".containers"),
            (f"#/pod/shop/{pod}?tab=logs", ".log-line"),
            (f"#/pod/shop/{pod}?tab=terminal", ".xterm-rows"),
            (f"#/pod/shop/{pod}?tab=files&path=/etc", ".files tbody tr"),
            (f"#/pod/shop/{pod}?tab=yaml", ".yaml .key"),
            ("#/pod/shop/crasher?tab=events", ".events li"),
            ("#/pod/shop/toobig", ".placement tr"),
            ("#/list/nodes?open=nodes/node-1", ".drawer figure.chart"),
        ):
            browser.go(fragment)
            browser.see(selector)
            for place in ("html", "main"):
                assert browser.driver.execute_script(SURPLUS, place) == 0, (fragment, place)
            assert browser.driver.execute_script(SQUEEZED) == [], fragment
        browser.screenshot(f"narrow-{width}")
    finally:
        browser.size(1440, 900)
