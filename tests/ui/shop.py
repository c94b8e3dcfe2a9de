"""What the browser's tests look at: a cluster with a shop in it, the page, and a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.cluster.world import Cluster, eventually
from tests.ui.browser import Browser, chromium, running_cluster, serving

SHOP = Path(__file__).parent / "shop.yaml"
ROW = ".grid tbody tr[data-key]"


class Shop(NamedTuple):
    """A cluster with a shop in it, the page, and a browser that looks at it."""

    cluster: Cluster
    browser: Browser

    def pod(self) -> str:
        """The name of a pod of the Deployment that is ready."""

        def ready() -> str:
            pods = self.cluster.get("pods", "-n", "shop", "-l", "app=web")["items"]
            names = [
                pod["metadata"]["name"]
                for pod in pods
                if "deletionTimestamp" not in pod["metadata"]
                and any(
                    one["type"] == "Ready" and one["status"] == "True"
                    for one in pod["status"].get("conditions", [])
                )
            ]
            return names[0] if names else ""

        return eventually(ready)

    def pods(self, selector: str, namespace: str = "shop") -> set[str]:
        """The uids of the pods that a selector names."""
        pods = self.cluster.get("pods", "-n", namespace, "-l", selector)["items"]
        return {pod["metadata"]["uid"] for pod in pods}

    def image(self, kind: str, name: str) -> str:
        """The image of a workload's first container."""
        spec = self.cluster.get(kind, name, "-n", "shop")["spec"]["template"]["spec"]
        return spec["containers"][0]["image"]

    def revisions(self, kind: str) -> int:
        """How many revisions the workload ``roller`` of a kind has."""
        all_of_them = self.cluster.get("controllerrevisions", "-n", "shop")["items"]
        owners = [one["metadata"]["ownerReferences"][0] for one in all_of_them]
        return sum((owner["kind"].lower(), owner["name"]) == (kind, "roller") for owner in owners)

    def typed(self) -> str:
        """What stands in the field for YAML."""
        return self.browser.driver.execute_script("return document.querySelector('textarea').value")


@contextmanager
def open_shop(root: Path) -> Iterator[Shop]:
    """A shop of the test's own, and the page opened in a browser."""
    with ExitStack() as stack:
        cluster = stack.enter_context(running_cluster(root))
        cluster.apply(SHOP.read_text())
        address = stack.enter_context(serving(cluster, "--kubeconfig", cluster.kubeconfig))
        browser = Browser(stack.enter_context(chromium()), address)
        browser.enter(address)
        browser.size(1440, 900)
        browser.media()
        yield Shop(cluster, browser)


def put(browser: Browser, text: str) -> None:
    """Types a whole text at once."""
    browser.driver.execute_script(
        "const area = document.querySelector('textarea'); area.value = arguments[0];"
        "area.dispatchEvent(new InputEvent('input', { bubbles: true }))",
        text,
    )
