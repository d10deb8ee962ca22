"""A page of another site shows the lab in a frame, if the lab allows that site; uploads work there too."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FrameLocator, expect

from tests.browser.conftest import Server, Visitor, click, start_server

pytestmark = [pytest.mark.browser, pytest.mark.long]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Write nothing."""


@contextmanager
def _other_site(folder: Path) -> Iterator[str]:
    """Serve a folder and yield its origin. To a browser, localhost and 127.0.0.1 are different sites."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        yield f"http://localhost:{site.server_port}"
        site.shutdown()


@pytest.fixture
def course(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The origin of another site, and the folder of its pages."""
    folder = tmp_path / "site"
    folder.mkdir()
    with _other_site(folder) as origin:
        yield origin, folder


def _embed(folder: Path, address: str) -> None:
    (folder / "index.html").write_text(
        f'<!doctype html><title>Course</title><iframe src="{address}" width="1000" height="800"></iframe>',
        encoding="utf-8",
    )


def _inside(server: Server, course: tuple[str, Path], visitor: Visitor) -> FrameLocator:
    origin, folder = course
    _embed(folder, f"{server.url}/architecture?embed=true")
    visitor.page.goto(f"{origin}/index.html")
    return visitor.page.frame_locator("iframe")


@pytest.fixture
def embedded_server(course: tuple[str, Path], tmp_path: Path) -> Iterator[Server]:
    """A lab without a worker that the other site may embed, as `serve --embed` starts it."""
    words = ("--server.enableXsrfProtection", "false")
    running = start_server(tmp_path / "home", *words, environment={"LAB_EMBED": course[0]}, worker=False)
    yield running
    running.stop()


def test_an_allowed_site_shows_the_lab_without_its_navigation(
    course: tuple[str, Path], embedded_server: Server, visitor: Visitor, tmp_path: Path
) -> None:
    frame = _inside(embedded_server, course, visitor)
    expect(frame.get_by_role("heading", name="Architecture", level=1)).to_be_visible()
    expect(frame.get_by_test_id("stSidebarNav")).to_have_count(0)
    expect(frame.get_by_label("Link to this view").first).to_be_hidden()
    with visitor.page.context.expect_page() as opened:
        click(frame.get_by_label("Open in ConvLab"))
    assert opened.value.url == f"{embedded_server.url}/architecture"
    opened.value.close()
    _upload_a_picture(embedded_server, course, visitor, tmp_path)


def _upload_a_picture(server: Server, course: tuple[str, Path], visitor: Visitor, folder: Path) -> None:
    """Upload a photo on Draw inside the frame. Browsers send no cookie from there."""
    pixels = np.full((60, 60), 255, np.uint8)
    pixels[10:50, 27:33] = 0
    Image.fromarray(pixels).save(folder / "one.png")
    _embed(course[1], f"{server.url}/draw?embed=true")
    visitor.page.goto(f"{course[0]}/index.html")
    frame = visitor.page.frame_locator("iframe")
    click(frame.get_by_text("Photo", exact=True).first)
    with visitor.page.expect_response(lambda response: response.request.method == "PUT") as uploaded:
        frame.locator('input[type="file"]').set_input_files(folder / "one.png")
    assert uploaded.value.ok


def test_every_other_site_is_refused(course: tuple[str, Path], idle_server: Server, visitor: Visitor) -> None:
    frame = _inside(idle_server, course, visitor)
    expect(visitor.page.locator("iframe")).to_be_visible()
    expect(frame.get_by_role("heading", name="Architecture")).to_have_count(0)
    assert any("403" in error or "frame" in error.lower() for error in visitor.errors)
    visitor.errors.clear()
