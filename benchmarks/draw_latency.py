"""Latency from lifting the pen to the changed answer on the page, in a real Chromium with a real server.

A run is trained on the built-in digits in a temporary lab (unless an address is given). The ten polyline digits are
drawn with the mouse at human speed, and the browser's clock measures from its `pointerup` to the change of the answer.
Prints median, quartiles and n with *Answer while I draw* and with the standard canvas, and the numbers of answers and of
pictures of the whole network during each stroke.
"""

import argparse
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import QUIET, find_chromium
from benchmarks.guard import guarded, guarded_server
from benchmarks.markdown_tables import heading, row
from benchmarks.quartiles import quartiles
from lab.sketch.render import POLYLINES, Hand, place_strokes

ROOT = Path(__file__).resolve().parent.parent
STROKE_S = 1.0  # seconds that a person takes for a stroke
PIXELS_A_MOVE = 6.0
# Records in the page when the pen is lifted, the number of the message sent then, and when each answer was shown.
_WATCH = """() => {
  const padRoot = () => [...document.querySelectorAll('*')].map(e => e.shadowRoot?.querySelector('.pad')).find(Boolean);
  window.lab = { up: 0, sent: 0, changes: [], pictures: 0 };
  addEventListener('pointerup', () => {
    lab.up = performance.now();
    setTimeout(() => { lab.sent = Number(padRoot()?.dataset.sent ?? 0); });
  }, true);
  const result = () => document.querySelector('.cl-result')?.dataset ?? {};
  let last = result();
  new MutationObserver(() => {
    const { ink, answered } = result();
    if (ink === undefined || (ink === last.ink && answered === last.answered)) return;
    lab.changes.push({ at: performance.now(), answered: Number(answered), ink: ink !== last.ink });
    last = { ink, answered };
  }).observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true });
  let canvas, drawn;
  const look = () => {
    if (!canvas?.isConnected)
      canvas = [...document.querySelectorAll('*')]
        .map(e => e.shadowRoot?.querySelector('.stage.convolution canvas')).find(Boolean);
    const now = canvas?.toDataURL();
    if (now !== drawn && !lab.up) lab.pictures += 1;
    drawn = now;
    requestAnimationFrame(look);
  };
  look();
}"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a running lab's Draw page; default: start one")
    parser.add_argument("--rounds", type=int, default=3, help="how many times the ten digits are drawn with each pad")
    options = parser.parse_args()
    if options.url:
        report(options.url, rounds=options.rounds)
        return
    with temporary_lab() as url:
        report(url, rounds=options.rounds)


def report(url: str, *, rounds: int) -> None:
    """Print one line per pad."""
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} x ten digits, from pen "
        f"up to the changed answer, strokes of {STROKE_S:g} s"
    )
    counts = ("answers during a stroke", "pictures of the whole network during a stroke")
    print(heading("pad", "median", "quartiles", "n (strokes)", *counts))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*QUIET])
        for live in (True, False):
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.set_default_timeout(120_000)  # ms; importing torch takes half a minute on a busy machine
            open_page(page, url, live=live)
            times, during, pictures = measure(
                page, ".pad-paper" if live else "canvas.dc-canvas.upper-canvas", rounds=rounds
            )
            name = "Answer while I draw" if live else "standard canvas"
            low, middle, high = quartiles(times)
            per_stroke = (f"median {statistics.median(each):g}, fewest {min(each)}" for each in (during, pictures))
            print(row(name, f"{middle:.0f} ms", f"{low:.0f} to {high:.0f} ms", len(times), *per_stroke))
            page.close()
        browser.close()


def open_page(page: Page, url: str, *, live: bool) -> None:
    """Open the Draw page with one of the pads and wait until it is ready."""
    page.goto(url)
    page.wait_for_selector(".pad-paper")
    if not live:
        page.get_by_text("Answer while I draw").click()
        page.wait_for_selector("canvas.dc-canvas.upper-canvas")
    page.wait_for_selector('[data-testid=stApp][data-test-script-state="notRunning"]')
    page.wait_for_timeout(1000)
    page.evaluate(_WATCH)


def measure(page: Page, canvas: str, *, rounds: int) -> tuple[list[float], list[int], list[int]]:
    """Return for every stroke: ms from pen up to its final answer; numbers of answers and of pictures before pen up."""
    times, during, pictures = [], [], []
    for number in range(rounds * len(POLYLINES)):
        digit = str(number % len(POLYLINES))
        hand = Hand(pen=16, height=190 - 2 * (number % 7), middle=(136 + number % 9, 140))
        for points in (stroke.points for stroke in place_strokes(POLYLINES[digit], hand)):
            page.evaluate("() => { lab.changes = []; lab.up = 0; lab.sent = 0; lab.pictures = 0; }")
            draw_stroke(page, canvas, points)
            state = settled(page)
            final = [c for c in state["changes"] if c["at"] > state["up"] and c["answered"] >= state["sent"]]
            if final:
                times.append(final[0]["at"] - state["up"])
            pictures.append(int(state["pictures"]))
            during.append(sum(change["at"] <= state["up"] and change["ink"] for change in state["changes"]))
        clear(page)
    return times, during, pictures


def draw_stroke(page: Page, canvas: str, points: tuple[tuple[float, float], ...]) -> None:
    """Draw a stroke with the mouse at about human speed."""
    box = page.locator(canvas).first.bounding_box()
    if box is None:
        raise RuntimeError("the pad is not on the page")
    scale = box["width"] / 280
    places = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in points]
    length = sum(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 for a, b in itertools.pairwise(places))
    pause = STROKE_S / max(1.0, length / PIXELS_A_MOVE)
    page.mouse.move(*places[0])
    page.mouse.down()
    last = places[0]
    for place in places[1:]:
        steps = max(1, round(((place[0] - last[0]) ** 2 + (place[1] - last[1]) ** 2) ** 0.5 / PIXELS_A_MOVE))
        for step in range(1, steps + 1):
            share = step / steps
            page.mouse.move(last[0] + (place[0] - last[0]) * share, last[1] + (place[1] - last[1]) * share)
            time.sleep(pause)
        last = place
    page.mouse.up()


def settled(page: Page) -> dict[str, Any]:
    """Wait until nothing has changed for half a second; return what the page has recorded."""
    page.wait_for_timeout(500)
    while True:
        state: dict[str, Any] = page.evaluate("() => ({ ...lab, now: performance.now() })")
        newest = max([state["up"], *(change["at"] for change in state["changes"])])
        if state["now"] - newest > 500:
            return state
        page.wait_for_timeout(100)


def clear(page: Page) -> None:
    """Clear the pad."""
    page.get_by_role("button", name="Clear", exact=True).click()
    page.wait_for_timeout(700)


@contextmanager
def temporary_lab() -> Iterator[str]:
    """Train LeNet-5 on the digits in a temporary home, start the server, and yield the Draw page's address."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:  # a worker may still be exiting
        env = {**os.environ, "LAB_HOME": home, "LAB_DEVICE": "cpu"}
        train = ["-m", "lab", "train", "--arch", "lenet5", "--dataset", "digits", "--epochs", "5", "--json"]
        with guarded(Path(home)):  # training starts a supervisor
            subprocess.run([sys.executable, *train], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL)
            with guarded_server(Path(home), {"LAB_DEVICE": "cpu"}) as port:
                wait_for(f"http://127.0.0.1:{port}/healthz")
                yield f"http://127.0.0.1:{port}/draw"


def wait_for(address: str, *, timeout_s: float = 60.0) -> None:
    """Wait until the server responds. Raises `OSError` if it does not within `timeout_s`."""
    end = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.3)


if __name__ == "__main__":
    main()
