"""Runs Kubernetes' conformance tests (1.20.2) on a cluster that `kubelite up` makes for them.

    python scripts/conformance/run.py [--focus REGEX] [--jobs N]

Needs root, x86_64 and Debian's mirror. Programs and images are made once, in 5 minutes, and kept in
/tmp/kubelite-conformance-UID. Tests that need no cluster for themselves run beside each other; the
others come last, one by one. What each test gave last is kept there; docs/conformance.md is written
anew from it. The exit code is 1 when a test fails that exceptions.tsv does not name.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from images import Built, make_archive
from report import Outcome, counts, page, read_exceptions, remembered, unexpected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HERE = Path(__file__).resolve().parent
TREE = HERE.parents[1]
PLACE = Path(tempfile.gettempdir()) / f"kubelite-conformance-{os.getuid()}"
BATCH = 8
BATCH_SECONDS = 3600


def run(*command: str | Path, **options: object) -> None:
    """Runs a tool; its own messages say what is wrong."""
    subprocess.run([str(word) for word in command], check=True, **options)  # type: ignore[call-overload]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def cluster(archive: Path) -> Iterator[Path]:
    """A cluster of one node with the images, and nothing left of it afterwards; its kubeconfig."""
    root = Path(tempfile.mkdtemp(prefix="kubelite-conformance-"))
    kubelite = [sys.executable, "-m", "kubelite", "--root", root]
    try:
        run(*kubelite, "image", "load", archive)
        ports = ["--port", str(free_port()), "--kubelet-port", str(free_port())]
        run(*kubelite, "up", "--name", "conformance", *ports)
        config = root / "conformance.kubeconfig"
        with config.open("wb") as file:
            run(*kubelite, "kubeconfig", "--name", "conformance", stdout=file)
        yield config
    finally:
        run(*kubelite, "down", "--name", "conformance", "--delete")
        run(*kubelite, "system", "reset", "--yes")
        shutil.rmtree(root, ignore_errors=True)


class Suite:
    """The tests, and what running some of them on a cluster gives. Logs stay in `results`."""

    def __init__(self, config: Path, results: Path) -> None:
        """Tests for the cluster of a kubeconfig."""
        self._config = config
        self._results = results

    def run(self, names: Sequence[str]) -> list[Outcome]:
        """Runs tests one after the other. One that gave no result has failed."""
        self._results.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=self._results))
        chosen = "|".join(re.escape(name) for name in names)
        command = [
            PLACE / "bin/e2e.test",
            f"--kubeconfig={self._config}",
            f"--kubectl-path={PLACE / 'kubectl/usr/bin/kubectl'}",
            f"--report-dir={place}",
            f"--repo-root={place}",
            "--provider=skeleton",
            "--disable-log-dump",
            "--dump-logs-on-failure=false",
            # Since 1.24 a service account has no Secret, which 1.20 waits for.
            "--e2e-verify-service-account=false",
            "--ginkgo.noColor",
            f"--ginkgo.focus=({chosen})$",
        ]
        with (place / "log").open("wb") as log, suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [*map(str, command)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=place,
                timeout=BATCH_SECONDS,
                check=False,
            )
        results = {o.name: o for path in place.glob("junit*.xml") for o in read_junit(path)}
        nothing = Outcome("", "failed", 0, f"gave no result: see {place / 'log'}")
        return [results.get(name, nothing._replace(name=name)) for name in names]


def read_junit(path: Path) -> Iterator[Outcome]:
    """The tests of a report that were chosen."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        failure, skipped = case.find("failure"), case.find("skipped")
        if skipped is not None and not (skipped.text or "").strip():
            continue  # not chosen
        result = "failed" if failure is not None else "skipped" if skipped is not None else "passed"
        message = next((part.text or "" for part in (failure, skipped) if part is not None), "")
        yield Outcome(case.get("name", ""), result, float(case.get("time", 0)), message)


def conformance_tests(source: Path) -> list[str]:
    """The names of all conformance tests, as the suite's own list has them."""
    listed = yaml.safe_load((source / "test/conformance/testdata/conformance.yaml").read_text())
    return [test["codename"] for test in listed]


def is_serial(name: str) -> bool:
    """Whether a test needs the cluster for itself."""
    return "[Serial]" in name or "[Disruptive]" in name


def run_all(suite: Suite, names: Sequence[str], jobs: int) -> Iterator[Outcome]:
    """Runs tests in batches, `jobs` at a time, then those that need the cluster for themselves."""
    together = [name for name in names if not is_serial(name)]
    # Tests that take long stand together in the list: each batch gets some of them.
    count = max(jobs, len(together) // BATCH)
    batches = [together[first::count] for first in range(count)]
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(suite.run, batch) for batch in batches if batch]
        for done in as_completed(running):
            yield from done.result()
    if alone := [name for name in names if is_serial(name)]:
        yield from suite.run(alone)


def about() -> str:
    """What ran, on what, when."""
    kubelite = subprocess.run(
        [sys.executable, "-m", "kubelite", "version"], capture_output=True, text=True, check=True
    ).stdout.split("\n")[0]
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return (
        "The conformance tests of Kubernetes 1.20.2, the newest that Debian has the whole source "
        f"of, on a cluster of one node that `kubelite up` made: {kubelite}, Linux "
        f"{os.uname().release}, last run {day}. The images that the tests name are replaced by "
        "Debian's programs. Made by `make conformance`."
    )


def main(arguments: Sequence[str]) -> int:
    """Makes what is missing, runs the tests and says what they gave."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--focus", default="", help="only tests whose names match this expression")
    parser.add_argument("--jobs", type=int, default=4, help="how many tests run at a time")
    options = parser.parse_args(arguments)
    run(HERE / "build", PLACE)
    run(HERE.parent / "debian", "bookworm", PLACE / "kubectl", "kubernetes-client")
    source = PLACE / "source"
    archive = make_archive(Built(PLACE / "bin", source), PLACE / "images")
    tests = conformance_tests(source)
    names = [name for name in tests if re.search(options.focus, name)]
    exceptions = read_exceptions(HERE / "exceptions.tsv")
    outcomes = []
    with cluster(archive) as config:
        suite = Suite(config, PLACE / "results")
        for outcome in run_all(suite, names, options.jobs):
            print(f"{outcome.result} {outcome.seconds:.1f}s {outcome.name}", flush=True)
            outcomes.append(outcome)
    failed = unexpected(outcomes, exceptions)
    for outcome in failed:
        print(f"\n{outcome.name}\n  {' '.join(outcome.message.split())[:600]}")
    number = counts(outcomes, exceptions)
    print(f"{number['passed']} passed, {number['failed']} failed, {number['exception']} exceptions")
    known = remembered(PLACE / "outcomes.json", outcomes)
    latest = [known.get(name, Outcome(name, "not run", 0)) for name in tests]
    (TREE / "docs/conformance.md").write_text(page(latest, exceptions, about()))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
