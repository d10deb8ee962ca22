"""Takes the README's screenshots in both themes, in a real Chromium on a fresh lab: `python -m benchmarks.pictures`.

A server starts with an empty home and no data set. Home, Inside and Draw show the examples that ship with the lab; the
run on Train is the one started by Home's first button, which takes a minute. The files are written to `docs/images`.
"""

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.chromium import find_chromium
from benchmarks.draw_latency import draw_stroke
from benchmarks.web import serve
from lab.examples.catalogue import EXAMPLES
from lab.sketch.render import POLYLINES, Hand, place_strokes

_FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
_SIZE = (1280, 860)
_DIGIT = "3"
_READY = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
_TIMEOUT_MS = 300_000
_DOWN_PX = 300  # scrolls Inside to the whole network; farther down, the sticky slider covers the image picker
_REST_MS = 1_500  # wait for charts and pictures to be drawn


def main() -> None:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=_FOLDER, help="folder of the pictures")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        # The server's worker may still be writing there.
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
            serve(Path(home), only_digits=True) as url,
        ):
            run = _train(browser, url)
            for theme in ("light", "dark"):
                _take(browser, url, theme, run, folder)
        browser.close()


def _open(browser: Browser, theme: str) -> Page:
    width, height = _SIZE
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        reduced_motion="reduce",
    )
    page.set_default_timeout(_TIMEOUT_MS)
    return page


def _train(browser: Browser, url: str) -> str:
    """Press Home's first button, wait until its run has finished, and return the run's address."""
    page = _open(browser, "light")
    page.goto(url)
    page.get_by_role("button", name="Train a LeNet").click()
    page.locator(".stMarkdownBadge", has_text="finished").first.wait_for()
    address = page.url
    page.close()
    return address


def _take(browser: Browser, url: str, theme: str, run: str, folder: Path) -> None:
    page = _open(browser, theme)
    example = EXAMPLES[0].id

    def take(name: str) -> None:
        page.wait_for_selector(_READY)
        page.mouse.move(0, 0)
        page.wait_for_timeout(_REST_MS)
        page.screenshot(path=folder / f"{name}-{theme}.png")

    page.goto(url)
    _draw(page)
    page.wait_for_selector(f'[data-answer="{_DIGIT}"]')
    take("home")
    page.goto(f"{url}/draw?runs={example}")
    page.wait_for_selector(".cl-card")
    _draw(page)
    page.wait_for_selector(f'.cl-line[data-answer="{_DIGIT}"]')
    take("draw")
    page.goto(f"{url}/inside?run={example}")
    page.get_by_text("fc3", exact=True).wait_for()  # the last layer of the network's picture
    page.wait_for_timeout(_REST_MS)
    page.get_by_test_id("stMain").evaluate("(main, down) => main.scrollTo(0, down)", _DOWN_PX)
    take("inside")
    page.goto(run)
    page.wait_for_selector(".cl-plot .main-svg")
    take("train")
    page.close()


def _draw(page: Page) -> None:
    pad = page.locator("[data-pad]")
    pad.wait_for()
    page.wait_for_timeout(_REST_MS)  # content that appears above the pad moves it
    if not page.locator("[data-answer]").count():  # the tab may have restored its last drawing
        for stroke in place_strokes(POLYLINES[_DIGIT], Hand()):
            draw_stroke(page, "[data-pad]", stroke.points)


if __name__ == "__main__":
    main()
