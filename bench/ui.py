"""python bench/ui.py [--pods N] [--events N] [--json FILE]: how fast the web page is.

Starts `kubelite server` with N pods and `kubelite ui` before it, and opens a list of all pods in
Chromium without a graphics processor. Prints when its first rows are there, how long a frame takes
while it is scrolled and how much of that is the page's own work, beside a page that scrolls as many
plain lines and one that holds only the lines in view and no cells, how long after another client's
change a row is seen, beside a bare watch, and the page's memory before and after events.
Needs chromium and chromium-driver.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from api import ROOT, SPACE, Server, expect, pod
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from serving.client import Connection

FLAGS = "headless no-sandbox disable-gpu disable-dev-shm-usage window-size=1440,900".split()
FRAMES, PIXELS = 120, 90  # three rows a frame: about as fast as a wheel is turned
CHANGES = 30  # as many rows as exist at once
MERGE = "application/merge-patch+json"
NOTES = """
window.notes = { rows: 0, seen: {} };
const look = () => {
  if (!notes.rows && document.querySelector("tr[data-key]")) notes.rows = performance.now();
  for (const row of document.querySelectorAll('tr[data-key*="change-"]'))
    notes.seen[row.dataset.key.split("/")[1]] ??= Date.now();
};
new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""
SCROLL = """
const [selector, frames, pixels, done] = arguments;
const box = document.querySelector(selector);
const took = [];
let before = performance.now();
const step = (now) => {
  took.push(now - before);
  before = now;
  if (took.length > frames) return done(took.slice(1));
  box.scrollTop += pixels;
  requestAnimationFrame(step);
};
box.scrollTop = 3000;
setTimeout(() => requestAnimationFrame(step), 500);
"""
PLAIN = """<!doctype html><style>body{margin:0}
#b{height:900px;overflow:auto;font:13px/30px sans-serif}
div div{height:30px;contain:strict}</style><div id=b></div><script>
for (let n = 0; n < 10000; n++) b.append(Object.assign(document.createElement("div"),
{ textContent: `default pod-${n} 0/1 Pending 0 3m example.com/app:1.2.3` }))</script>"""


BARE = """<!doctype html><style>body{margin:0}#b{height:900px;overflow:auto;background:#fff}
#i{height:300000px;position:relative;contain:strict;font:13px/30px sans-serif}
#i div{position:absolute;top:0;left:0;right:0;height:30px;contain:strict}</style>
<div id=b><div id=i></div></div><script>
const COUNT = 55, lines = Array.from({ length: COUNT }, () => document.createElement("div"));
i.append(...lines);
b.onscroll = () => {
  const first = Math.max(0, Math.floor(b.scrollTop / 30) - 12);
  for (let n = first; n < first + COUNT; n++) {
    const line = lines[n % COUNT];
    if (line.n === n) continue;
    line.n = n;
    line.style.transform = `translateY(${n * 30}px)`;
    line.textContent = `default pod-${n} 0/1 Pending 0 3m example.com/app:1.2.3`;
  }
};
b.onscroll();</script>"""
"""The least that a list of rows in view can do."""
WORK = {"script": "ScriptDuration", "layout": "LayoutDuration", "style": "RecalcStyleDuration"}


@contextmanager
def page(folder: Path) -> Iterator[str]:
    """``kubelite ui``, and the address that it prints."""
    command = [sys.executable, "-m", "kubelite", "ui", "--no-browser", "--kubeconfig"]
    process = subprocess.Popen(
        [*command, str(folder / "config")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in FLAGS:
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_script_timeout(300)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTES})
    driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    try:
        yield driver
    finally:
        driver.quit()


def wait_for(driver: webdriver.Chrome, selector: str) -> None:
    while not driver.find_elements(By.CSS_SELECTOR, selector):
        time.sleep(0.05)


def first_rows(driver: webdriver.Chrome, address: str) -> dict[str, float]:
    """Milliseconds from the navigation to the first row, and of the main thread's processor time
    until then.
    """
    driver.get("about:blank")
    before = metrics(driver)["TaskDuration"]
    driver.get(address)
    wait_for(driver, "tr[data-key]")
    after = metrics(driver)["TaskDuration"]
    # A navigation may come to another process, whose time begins at nothing.
    work = 1000 * (after - before if after > before else after)
    return {"seen": driver.execute_script("return notes.rows"), "work": work}


def frames(driver: webdriver.Chrome, selector: str) -> dict[str, float]:
    """Milliseconds from frame to frame, and of the main thread's processor time in each: all of
    it, and what of it is script, layout and style.
    """
    before = metrics(driver)
    took = driver.execute_async_script(SCROLL, selector, FRAMES, PIXELS)
    after = metrics(driver)
    figures = {"median": statistics.median(took), "mean": statistics.mean(took)}
    for label, name in {"work": "TaskDuration", **WORK}.items():
        figures[label] = 1000 * (after[name] - before[name]) / FRAMES
    return figures


def metrics(driver: webdriver.Chrome) -> dict[str, float]:
    values = driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return {value["name"]: value["value"] for value in values}


def heap(driver: webdriver.Chrome) -> float:
    """Megabytes that the page's objects take, without what nobody holds."""
    driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    return metrics(driver)["JSHeapUsedSize"] / 1e6


async def create_pods(server: Server, count: int) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        async with Connection(server.port, server.context) as connection:
            for number in numbers:
                expect(await connection.ask("POST", f"{SPACE}/pods", pod(f"pod-{number:05}")), 201)

    await asyncio.gather(*(work() for _ in range(16)))


async def change_pods(server: Server, events: int, pods: int) -> None:
    numbers = iter(range(events))

    async def work() -> None:
        async with Connection(server.port, server.context) as connection:
            for number in numbers:
                patch = json.dumps({"metadata": {"labels": {"changed": str(number)}}}).encode()
                path = f"{SPACE}/pods/pod-{number % min(pods, 200):05}"
                expect(await connection.ask("PATCH", path, patch, MERGE), 200)

    await asyncio.gather(*(work() for _ in range(8)))


async def make_changes(server: Server) -> tuple[dict[str, float], dict[str, float]]:
    """By the names of ConfigMaps: when each was answered, and when a bare watch told of it."""
    answered: dict[str, float] = {}
    watched_at: dict[str, float] = {}
    async with (
        Connection(server.port, server.context) as connection,
        Connection(server.port, server.context) as watcher,
    ):
        watcher.send("GET", f"{SPACE}/configmaps?watch=1&resourceVersion=0")
        lines = await watcher.lines()

        async def listen() -> None:
            while line := await lines.readline():
                if line.startswith(b"{"):
                    watched_at.setdefault(
                        json.loads(line)["object"]["metadata"]["name"], time.time()
                    )

        listening = asyncio.create_task(listen())
        for number in range(CHANGES):
            name = f"change-{number}"
            body = json.dumps({"metadata": {"name": name}}).encode()
            expect(await connection.ask("POST", f"{SPACE}/configmaps", body), 201)
            answered[name] = time.time()
            await asyncio.sleep(0.1)
        await asyncio.sleep(2)
        listening.cancel()
    return answered, watched_at


def spread(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"median": statistics.median(ordered), "p95": ordered[int(0.95 * len(ordered))]}


def measure(server: Server, pods: int, events: int) -> dict[str, Any]:
    with page(server.folder) as address, chromium() as driver:
        driver.get(address)
        wait_for(driver, ".tiles")
        base = address.partition("#")[0]
        result: dict[str, Any] = {"first rows": {}, "frames": {}}
        for visit in ("cold", "warm"):
            result["first rows"][visit] = first_rows(driver, f"{base}#/list/pods")
        wait_for(driver, f'[data-count="{pods}"]')
        time.sleep(1)
        result["frames"]["page"] = frames(driver, ".grid")
        result["memory"] = {"before": heap(driver)}
        asyncio.run(change_pods(server, events, pods))
        time.sleep(3)
        result["memory"]["after"] = heap(driver)
        driver.get("about:blank")
        driver.get(f"{base}#/list/configmaps?namespace=default")
        wait_for(driver, ".live.live")
        answered, watched_at = asyncio.run(make_changes(server))
        shown_at = driver.execute_script("return notes.seen")
        result["live"] = {
            "page": spread([shown_at[name] - 1000 * at for name, at in answered.items()]),
            "bare watch": spread([1000 * (watched_at[name] - at) for name, at in answered.items()]),
        }
        file = server.folder / "floor.html"
        file.write_text("<!doctype html><table><tr data-key=one><td>one row</table>")
        result["first rows"]["one row"] = first_rows(driver, f"file://{file}")
        for name, document in (("plain lines", PLAIN), ("bare list", BARE)):
            file.write_text(document)
            driver.get(f"file://{file}")
            result["frames"][name] = frames(driver, "#b")
    return result


def report(result: dict[str, Any]) -> Iterator[str]:
    for what, rows in result.items():
        unit = "MB" if what == "memory" else "ms"
        for name, value in rows.items():
            values = value if isinstance(value, dict) else {"": value}
            figures = "  ".join(f"{label} {figure:.1f} {unit}" for label, figure in values.items())
            yield f"{what:<11} {name:<12} {figures}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            asyncio.run(create_pods(server, options.pods))
            result = measure(server, options.pods, options.events)
        finally:
            server.stop()
    print("\n".join(report(result)))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
