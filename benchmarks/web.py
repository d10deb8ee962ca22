"""Latency of the web pages, in a real Chromium on a real server: `python -m benchmarks.web [--runs 5] [--clicks 30]`.

Measured on the built-in digits, regardless of LAB_DATA, each with n and spread: the time from a changed setting to the
changed page, the time from a press on Train to the first point of the curve (with a warm worker), and the bytes of one
live update on the wire; and, without a browser, the processor time of the route that live charts poll.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, Response, sync_playwright

from benchmarks.chromium import find_chromium
from benchmarks.guard import guarded_server
from benchmarks.markdown_tables import heading, row
from lab.charts.live import live_payload
from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, Series
from lab.runs.store import RunStore
from pages.server.points import PointCache

ROOT = Path(__file__).resolve().parent.parent
READY = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
POLLS = 21
_CLICK = """async (n) => {
  const words = () => document.querySelector('.st-key-cost-card')?.innerText ?? '';
  const times = [];
  for (let i = 0; i < n; i++) {
    const before = words(), began = performance.now();
    document.querySelector('[data-testid=stNumberInputStepUp]').click();
    while (words() === before) await new Promise((done) => setTimeout(done, 2));
    times.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 250));
  }
  return times;
}"""
_POINTS = "+(document.querySelector('.cl-live')?.dataset.points ?? 0)"


@contextmanager
def serve(home: Path, *, only_digits: bool = False) -> Iterator[str]:
    """Yield the address of a lab with this home; the server and its worker end with the block or with this process.

    only_digits: ignore the data sets of LAB_DATA, so that the page starts with the built-in digits.
    """
    with guarded_server(home, {"LAB_DATA": str(home / "data")} if only_digits else {}) as port:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/_stcore/health", timeout=2).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.1)
        yield url


def _line(name: str, values: list[float], unit: str) -> str:
    low, high = min(values), max(values)
    return row(name, f"{statistics.median(values):.3g} {unit}", f"{low:.3g} to {high:.3g}", len(values))


def _train(page: Page, url: str, seed: int) -> tuple[float, list[float]]:
    """Press Train for a run that is not cached; return seconds to the first point and the bytes of each update."""
    sizes: list[float] = []

    def note(response: Response) -> None:
        if "since=" in response.url:
            sizes.append(response.request.sizes()["responseBodySize"])

    page.goto(f"{url}/train")
    page.wait_for_selector(READY)
    field = page.get_by_label("Epochs", exact=True).first
    field.fill(str(20 + seed))
    field.press("Enter")
    page.wait_for_selector(READY)
    page.wait_for_timeout(500)
    page.on("response", note)
    began = time.perf_counter()
    page.get_by_role("button", name="Train").first.click()
    while not page.evaluate(_POINTS):
        page.wait_for_timeout(20)
    first = time.perf_counter() - began
    page.locator(".stMarkdownBadge", has_text="finished").first.wait_for(timeout=120_000)
    page.remove_listener("response", note)
    return first, sizes


def _long_run(store: RunStore, steps: int) -> RunRecord:
    """Return a new run in the store that is in training and has `steps` steps."""
    owner = Owner.of_this_process()
    store.queue.submit(RunConfig(dataset="digits", seed=steps), fingerprint=str(steps), family="")
    run = store.leases.claim(slot=f"slot {steps}", owner=owner)
    if run is None:
        raise RuntimeError("the run that was just queued could not be claimed")
    _append(store, run, first=1, count=steps)
    return store.runs.get(run.id)


def _append(store: RunStore, run: RunRecord, *, first: int, count: int) -> None:
    step = np.arange(first, first + count, dtype=np.int64)
    noise = np.random.default_rng(first).random(count)
    store.points.append(
        run.id, run.lease, {name: Series(name, step, noise, step / 500) for name in ("batch/loss", "batch/accuracy")}
    )


def _route_costs(home: Path) -> list[str]:
    """Return table lines: processor time of the points route for the first poll and for each later one."""
    store = RunStore.open(f"sqlite:///{home / 'route.db'}")
    lines = []
    for steps in (5_000, 100_000):
        run, cache, since, seen = _long_run(store, steps), PointCache(), "", steps
        first: list[float] = []
        later: list[float] = []
        for look in range(POLLS):
            began = time.process_time()
            current = store.runs.get(run.id)
            points = cache.read(store.points, current)
            answer = live_payload(points, since=since, lease=current.lease, complete=False)
            json.dumps(answer, allow_nan=False)
            (later if look else first).append(1000 * (time.process_time() - began))
            since = str(answer["since"])
            _append(store, run, first=seen + 1, count=250)  # what half a second of LeNet-5 writes
            seen += 250
        lines += [
            _line(f"points route, processor: first look at {steps:,} steps", first, "ms"),
            _line(f"points route, processor: a look after it, 250 new steps of {steps:,}", later, "ms"),
        ]
    return lines


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="trainings, one after the other")
    parser.add_argument("--clicks", type=int, default=30, help="changes of a setting")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="convlab-web-"))
    routes = _route_costs(home)
    with serve(home / "home", only_digits=True) as url, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{url}/train")
        page.get_by_text("Mult-adds per image").wait_for(timeout=60_000)  # torch has been imported
        page.wait_for_timeout(8000)  # time for the worker to start
        clicks = page.evaluate(_CLICK, asked.clicks)
        trained = [_train(page, url, seed) for seed in range(asked.runs)]
        chromium.close()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}\n"
    )
    print(heading("operation", "median", "range", "n"))
    print(_line("a changed setting to the changed page", clicks, "ms"))
    print(_line("a press on Train to the first point, worker warm", [first for first, _ in trained], "s"))
    print(_line("one live update", [size for _, sizes in trained for size in sizes], "bytes"))
    print("\n".join(routes))


if __name__ == "__main__":
    main()
