"""How fast the Inside page follows its epoch slider: `LAB_DATA=... python -m benchmarks.inside [--arch lenet-bn]`.

Uses a real Chromium on a real server. The network is trained on 3,000 images of MNIST for four epochs. Then, for each
view (`--views` selects some), each epoch is visited once and the page's content is recorded. After that the slider is
moved back and forth, and the time is measured from each move until the page shows exactly the recorded content of that
epoch. Prints n, median and range.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.chromium import find_chromium
from benchmarks.markdown_tables import heading, row
from benchmarks.web import READY, ROOT, serve
from pages.state.inside import VIEWS

EPOCHS = 4
REST_MS = 1500  # a page that has not changed for this long is finished
_SETUP = """() => {
  window.pageShows = () => {
    const parts = [];
    const visit = (root) => {
      for (const each of root.querySelectorAll("*")) {
        const inner = each.shadowRoot;
        if (inner && !inner.querySelector(".bar")) {
          parts.push(inner.innerHTML);
          for (const canvas of inner.querySelectorAll("canvas")) parts.push(canvas.toDataURL());
        }
        else if (each.matches(".stHtml, .stMarkdown")) parts.push(each.innerHTML);
        else if (each.matches("img")) parts.push(each.src);
        else if (each.matches(".scatterlayer .point")) parts.push(each.getAttribute("transform"));
      }
    };
    visit(document.querySelector("[data-testid=stMain]"));
    return parts.join("\\n");
  };
  window.slider = [...document.querySelectorAll("*")].map((each) => each.shadowRoot?.querySelector(".bar input"))
    .find(Boolean);
  window.moveSlider = (index) => {
    slider.value = index;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  };
  window.seen = {};
}"""
_VISIT = """async ([index, rest]) => {
  moveSlider(index);
  let shows = pageShows(), since = performance.now();
  while (performance.now() - since < rest) {
    await new Promise((done) => setTimeout(done, 50));
    const now = pageShows();
    const busy = document.querySelector("[data-testid=stApp]").dataset.testScriptState !== "notRunning";
    if (busy || now !== shows) [shows, since] = [now, performance.now()];
  }
  seen[index] = shows;
}"""
_MOVE = """async (index) => {
  const began = performance.now();
  moveSlider(index);
  while (pageShows() !== seen[index]) {
    if (performance.now() - began > 10000) return null;
    await new Promise((done) => setTimeout(done, 4));
  }
  const took = performance.now() - began;
  await new Promise((done) => setTimeout(done, 400));
  return took;
}"""


def train(home: Path, arch: str) -> str:
    environment = {**os.environ, "LAB_HOME": str(home)}
    command = [
        "train",
        "--arch",
        arch,
        "--dataset",
        "mnist",
        "--epochs",
        str(EPOCHS),
        "--train-limit",
        "3000",
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lab", *command], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    return str(json.loads(done.stdout)["run"])


def measure(page: Page, url: str, run: str, view: str, moves: int) -> list[float]:
    """Return the milliseconds of each move on one view, after visiting all of its epochs."""
    page.goto(f"{url}/inside?run={run}&view={view}")
    page.wait_for_selector(READY)
    page.get_by_role("slider", name="Epoch").wait_for(timeout=60_000)
    page.wait_for_timeout(4000)
    page.evaluate(_SETUP)
    count = 1 + int(page.evaluate("+slider.max"))
    for index in range(count):
        page.evaluate(_VISIT, [index, REST_MS])
    times = [page.evaluate(_MOVE, (3 * move) % count) for move in range(1, moves + 1)]
    if None in times:
        raise RuntimeError(f"on {view}, the page did not return to the recorded content of an epoch")
    return [float(each) for each in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="lenet-bn")
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--views", nargs="+", choices=tuple(VIEWS), default=tuple(VIEWS))
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="convlab-inside-", ignore_cleanup_errors=True) as place,
        serve(Path(place)) as url,
        sync_playwright() as playwright,
    ):
        run = train(Path(place), given.arch)
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(120_000)
        print(
            f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
            f"{given.arch}, n = {given.moves}"
        )
        print(heading("view", "median, ms", "range, ms"))
        for view in given.views:
            times = measure(page, url, run, view, given.moves)
            span = f"{min(times):.0f} to {max(times):.0f}"
            print(row(view, f"{statistics.median(times):.0f}", span), flush=True)
        chromium.close()


if __name__ == "__main__":
    main()
