"""A new user's first minute, in a real Chromium on a fresh server without data: `python -m benchmarks.first_minute`.

In each round, a server starts with an empty home and an empty data folder, a browser with an empty profile opens Home,
and a 7 is drawn with the mouse at human speed. Measured from the request of the page, by this process's clock: the time
to the pad, to the end of the drawing, and to the right answer on the page. A second visit to the same server is
measured in the same way. With --train, the first button of Home is then pressed, and the time until its run has
finished is printed with its accuracy.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.chromium import find_chromium
from benchmarks.draw_latency import draw_stroke
from benchmarks.markdown_tables import heading, row
from benchmarks.web import serve
from lab.service.lab import Lab
from lab.settings import Settings
from lab.sketch.render import POLYLINES, Hand, place_strokes

_DIGIT = "7"
_PAD = "[data-pad]"
_TIMEOUT_MS = 180_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", action="store_true", help="also press Home's first button and wait for its run")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start")
    first: list[Mapping[str, float]] = []
    second: list[Mapping[str, float]] = []
    trained: list[Mapping[str, float]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for _ in range(options.rounds):
            # The server's worker may still be writing there.
            with (
                tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
                serve(Path(folder), only_digits=True) as url,
            ):
                first.append(visit(browser, url))
                second.append(visit(browser, url))
                print(f"load {os.getloadavg()[0]:.1f}: {first[-1]} {second[-1]}", file=sys.stderr, flush=True)
                if options.train:
                    trained.append(train(browser, url, Path(folder)))
        browser.close()
    print(heading("figure", "median, s", "range, s", "n"))
    for title, rounds in (("first visit", first), ("second visit", second), ("Home's first button", trained)):
        for name in rounds[0] if rounds else ():
            values = [each[name] for each in rounds]
            span = f"{min(values):.2f} to {max(values):.2f}"
            print(row(f"{title}: {name}", f"{statistics.median(values):.2f}", span, len(values)))


def visit(browser: Browser, url: str) -> dict[str, float]:
    """Return seconds from the request of Home to the pad, the end of the drawing, and the right answer."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT_MS)
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(_PAD)
    pad = time.perf_counter() - began
    _draw(page)
    drawn = time.perf_counter() - began
    page.wait_for_selector(f'[data-answer="{_DIGIT}"]')
    answered = time.perf_counter() - began
    context.close()
    since = "from the page request to the"
    return {f"{since} pad": pad, f"{since} end of the drawing": drawn, f"{since} right answer": answered}


def _draw(page: Page) -> None:
    box = page.locator(_PAD).bounding_box()
    page.wait_for_timeout(30)
    while box is None or page.locator(_PAD).bounding_box() != box:  # content that appears above the pad moves it
        box = page.locator(_PAD).bounding_box()
        page.wait_for_timeout(30)
    for stroke in place_strokes(POLYLINES[_DIGIT], Hand()):
        draw_stroke(page, _PAD, stroke.points)


def train(browser: Browser, url: str, home: Path) -> dict[str, float]:
    """Press Home's first button; return the time until its run has finished, its training time and test accuracy."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(_TIMEOUT_MS)
    page.goto(url)
    button = page.get_by_role("button", name="Train a LeNet")
    button.wait_for()
    began = time.perf_counter()
    button.click()
    page.locator(".stMarkdownBadge", has_text="finished").first.wait_for()
    took = time.perf_counter() - began
    page.close()
    data = home / "data"
    lab = Lab(
        Settings(home=home, data=data, database=f"sqlite:///{home / 'lab.db'}", artifacts=str(home / "artifacts"))
    )
    (run,) = lab.store.runs.list()
    return {
        "from the press to finished": took,
        "training time": run.seconds,
        "test accuracy (a share)": run.headline.test_accuracy or 0.0,
    }


if __name__ == "__main__":
    main()
