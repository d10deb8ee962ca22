"""The Draw page in a real Chromium: mouse and touch, both pads, several networks, saved drawings, photos, no runs."""

import base64
import io
import itertools
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from lab.sketch.render import POLYLINES, Hand, draw_digit, place_strokes
from tests.browser.conftest import (
    Server,
    Visitor,
    at_rest,
    becomes,
    click,
    open_context,
    press_key,
    settle,
    train_in,
    until,
)
from tests.sharing.sharing_runs import open_lab

pytestmark = pytest.mark.browser
_PAD = ".pad-paper"
_CANVAS = "canvas.dc-canvas.upper-canvas"


@pytest.fixture(scope="module")
def server(idle_server: Server) -> Server:
    """A lab in which nothing trains while the tests draw."""
    return idle_server


@pytest.fixture(scope="module")
def runs(server: Server) -> tuple[str, str]:
    """The runs of two networks that recognise digits: LeNet-5 and a small one."""
    settings = {"batch_size": 32, "lr": 0.003, "schedule": "one-cycle", "augment": "light"}
    return (
        train_in(server, arch="lenet5", epochs=12, **settings),
        train_in(server, arch="basic-cnn", epochs=4, **settings),
    )


def _draw(page: Page, digit: str, *, pad: str = _PAD, hand: Hand | None = None) -> None:
    canvas = page.locator(pad).first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    scale = box["width"] / 280
    for stroke in place_strokes(POLYLINES[digit], hand or Hand(pen=16, height=200)):
        points = [(box["x"] + x * scale, box["y"] + y * scale) for x, y in stroke.points]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def _ink(page: Page) -> int:
    return int(page.locator(".cl-result").get_attribute("data-ink") or 0)


def _labels(page: Page) -> list[str]:
    return [card.get_attribute("data-label") or "" for card in page.locator(".cl-card").all()]


def _answer(page: Page, before: int) -> list[str]:
    """Wait for the answer to the whole drawing, whose ink differs from `before`; return the cards' labels."""
    until(page, lambda: _ink(page) != before, "an answer to the drawing")
    if page.locator(".pad").count():
        until(page, lambda: _answered(page) == page.locator(".pad").get_attribute("data-sent"), "the last answer")
        return _labels(page)
    settle(page)  # the standard canvas does not number its answers
    return _labels(page)


def _answered(page: Page) -> str | None:
    return page.locator(".cl-result").get_attribute("data-answered")


def _open(visitor: Visitor, server: Server, *chosen: str) -> Page:
    visitor.page.goto(f"{server.url}/draw?runs={'.'.join(chosen)}")
    visitor.page.wait_for_selector(_PAD)  # the first visit imports torch and loads the networks
    visitor.settle()
    return visitor.page


@pytest.mark.long
def test_the_pad_does_not_move_while_answers_arrive(server: Server, runs: tuple[str, str], visitor: Visitor) -> None:
    page = _open(visitor, server, runs[0])
    page.locator(_PAD).first.scroll_into_view_if_needed()
    expect(page.locator(".cl-line")).to_be_visible()
    at_rest(page.locator(_PAD).first)
    page.evaluate(
        """() => {
          const pad = document.querySelector(".pad-paper") ??
            [...document.querySelectorAll("*")].map((e) => e.shadowRoot?.querySelector(".pad-paper")).find(Boolean);
          window.padPlaces = new Set();
          const look = () => {
            window.padPlaces.add(Math.round(pad.getBoundingClientRect().top));
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    for digit in ("7", "2"):
        _draw(page, digit)
        _answer(page, 0)
        click(page.get_by_role("button", name="Clear", exact=True))
        until(page, lambda: _ink(page) == 0, "an empty pad")
    becomes(page, lambda: len(page.evaluate("[...window.padPlaces]")), 1)


@pytest.mark.parametrize(
    ("digits", "least"), [("04579", 4), pytest.param("0123456789", 8, marks=pytest.mark.slow)], ids=["five", "ten"]
)
def test_digits_drawn_with_the_mouse_are_recognised(
    server: Server, runs: tuple[str, str], visitor: Visitor, digits: str, least: int
) -> None:
    page = _open(visitor, server, runs[0])
    read = {}
    for digit in digits:
        _draw(page, digit)
        read[digit] = _answer(page, 0)[0]
        until(page, lambda: int(_answered(page) or 0) > 0, "the number of an answer")
        click(page.get_by_role("button", name="Clear", exact=True))
        until(page, lambda: _ink(page) == 0, "an empty pad")
    assert sum(label == digit for digit, label in read.items()) >= least, read


@pytest.mark.long
def test_undo_redo_and_clear_change_the_answer(server: Server, runs: tuple[str, str], visitor: Visitor) -> None:
    page = _open(visitor, server, runs[0])
    _draw(page, "4")
    becomes(page, lambda: _answer(page, 0), ["4"])
    full = _ink(page)
    click(page.get_by_role("button", name="Undo"))
    until(page, lambda: 0 < _ink(page) < full, "the first stroke alone")
    click(page.get_by_role("button", name="Redo"))
    until(page, lambda: _ink(page) == full, "the second stroke back")
    click(page.get_by_role("button", name="Clear", exact=True))
    until(page, lambda: _ink(page) == 0, "an empty pad")
    page.keyboard.press("Tab")
    press_key(page.locator(_PAD), "Control+z")
    until(page, lambda: _ink(page) == full, "the drawing back after Ctrl+Z")


def test_two_networks_answer_side_by_side_and_are_both_in_the_address(
    server: Server, runs: tuple[str, str], visitor: Visitor
) -> None:
    page = _open(visitor, server, *runs)
    _draw(page, "0")
    becomes(page, lambda: _answer(page, 0), ["0", "0", "0"])
    expect(page.locator(".cl-name")).to_have_text(["LeNet-5", "Basic CNN", "Ensemble"])
    expect(page.locator(".cl-line")).to_contain_text("0")
    until(page, lambda: all(run in page.url for run in runs), "both runs in the address")


@pytest.mark.long
def test_the_images_of_preprocessing_and_layers_follow_the_drawing(
    server: Server, runs: tuple[str, str], visitor: Visitor
) -> None:
    page = _open(visitor, server, runs[0])
    network = page.get_by_role("group", name=re.compile("reading the drawing"))
    map_ = network.locator(".stage.convolution canvas").first
    seen = {str(map_.evaluate("each => each.toDataURL()"))}
    _draw(page, "3")
    _answer(page, 0)
    until(page, lambda: network.locator(".row.best b").inner_text() == "3", "the answer in the network's picture")
    until(page, lambda: map_.evaluate("each => each.toDataURL()") not in seen, "a map of the drawing")
    click(network.get_by_role("button", name="conv2, channel 3", exact=True))
    expect(page.get_by_alt_text("Feature maps of the layer")).to_be_visible()
    expect(page.get_by_text("Feature maps: 16, brighter is stronger")).to_be_visible()
    click(page.get_by_role("radio", name="Preprocessing").or_(page.get_by_role("button", name="Preprocessing")).first)
    until(page, lambda: page.locator(".cl-steps figure").count() == 6, "six steps")
    click(page.get_by_role("button", name="Centred").or_(page.get_by_role("checkbox", name="Centred")).first)
    until(page, lambda: page.locator(".cl-steps figure").count() == 5, "five steps without centring")
    for view, picture in (("Inside", ".cl-maps"), ("Nearest neighbours", ".cl-pic >> nth=9")):
        click(page.get_by_role("radio", name=view).or_(page.get_by_role("button", name=view)).first)
        page.wait_for_selector(picture)


def test_a_dot_is_marked_unsure_and_an_empty_pad_shows_no_answer(
    server: Server, runs: tuple[str, str], visitor: Visitor
) -> None:
    page = _open(visitor, server, runs[0])
    expect(page.locator(".cl-line")).to_contain_text("answer as you draw")
    click(page.locator(_PAD))
    _answer(page, 0)
    expect(page.locator(".cl-line")).to_contain_text("Unsure")
    expect(page.locator(".cl-card").first).to_have_attribute("data-unsure", "1")


@pytest.mark.long
def test_the_drawing_survives_a_page_switch_and_the_standard_canvas_is_read_too(
    server: Server, runs: tuple[str, str], visitor: Visitor
) -> None:
    page = _open(visitor, server, runs[0])
    _draw(page, "5")
    becomes(page, lambda: _answer(page, 0), ["5"])
    click(page.get_by_role("link", name="Runs").first)
    page.wait_for_selector(_PAD, state="detached")
    click(page.get_by_role("link", name="Draw").first)
    page.wait_for_selector(_PAD)
    until(page, lambda: page.locator(".cl-result").count() > 0 and _labels(page) == ["5"], "the drawing back")
    click(page.get_by_text("Answer while I draw"))
    page.wait_for_selector(_CANVAS)
    visitor.settle()
    before = _ink(page)
    click(page.get_by_role("button", name="Clear", exact=True))
    _answer(page, before)
    settle(page)
    at_rest(page.locator(_CANVAS).first)
    _draw(page, "0", pad=_CANVAS)
    becomes(page, lambda: _answer(page, 0), ["0"])


@pytest.mark.long
def test_saved_drawings_are_listed_and_can_be_deleted(server: Server, runs: tuple[str, str], visitor: Visitor) -> None:
    page = _open(visitor, server, *runs)
    for digit in ("6", "1"):
        _draw(page, digit)
        _answer(page, 0)
        click(
            page.get_by_role("radio", name="Save", exact=True)
            .or_(page.get_by_role("button", name="Save", exact=True))
            .first
        )
        page.get_by_text("What did you draw?").wait_for()
        click(page.get_by_test_id("stButtonGroup").last.get_by_text(digit, exact=True))
        visitor.settle()
        click(page.get_by_role("button", name="Save drawing"))
        until(page, lambda: _ink(page) == 0, "the pad empty after saving")
    click(page.get_by_role("radio", name="My drawings").or_(page.get_by_role("button", name="My drawings")).first)
    page.wait_for_selector("text=Choose drawings to delete or to label anew")
    expect(page.locator(".cl-pics figcaption")).to_have_count(2)
    click(page.get_by_test_id("stButtonGroup").last.get_by_text("1: 6"))
    click(page.get_by_role("button", name="Delete 1"))
    until(page, lambda: page.locator(".cl-pics figcaption").count() == 1, "one drawing left")
    click(page.get_by_role("button", name="Undo"))
    expect(page.locator(".cl-pics figcaption")).to_contain_text(["1: 6", "2: 1"])


@pytest.mark.long
def test_the_guess_game_asks_for_a_digit_counts_rounds_and_can_be_stopped(
    server: Server, runs: tuple[str, str], visitor: Visitor
) -> None:
    page = _open(visitor, server, *runs)
    click(page.get_by_role("radio", name="Guess game").or_(page.get_by_role("button", name="Guess game")).first)
    click(page.get_by_role("button", name="Start"))
    asked = page.get_by_role("heading", name="Draw:")
    asked.wait_for()
    digit = asked.inner_text()[-1]
    page.wait_for_selector(_PAD)
    _draw(page, digit)
    _answer(page, 0)
    click(page.get_by_role("button", name="Done"))
    page.get_by_text("Round 2 of 10").wait_for()
    until(page, lambda: _ink(page) == 0, "an empty pad for the next digit")
    click(page.get_by_role("button", name="Stop"))
    page.get_by_text("of 1 round", exact=False).first.wait_for()  # the rounds so far are shown
    page.get_by_role("button", name="Play again").wait_for()
    click(page.get_by_role("button", name="Save these drawings"))
    expect(page.get_by_role("button", name="Saved in My drawings")).to_be_disabled()


def _upload(page: Page, png: bytes) -> None:
    page.locator("input[type=file]").set_input_files({"name": "sheet.png", "mimeType": "image/png", "buffer": png})


def _paste(page: Page, png: bytes) -> None:
    page.locator(".paste").evaluate(
        """(target, body) => {
          const bytes = Uint8Array.from(atob(body), c => c.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "sheet.png", {type: "image/png"}));
          target.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true}));
        }""",
        base64.b64encode(png).decode(),
    )


def _sheet(text: str) -> bytes:
    sheet = np.full((320, 700), 230, dtype=np.uint8)
    for index, digit in enumerate(text):
        drawn = draw_digit(digit, Hand(pen=16, height=170)).ink
        sheet[20:300, 220 * index : 220 * index + 260] -= (drawn[:, 10:270] // 255) * 190
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, format="PNG")
    return out.getvalue()


def _ordered(boxes: Locator) -> bool:
    places = [box.bounding_box() for box in boxes.all()]
    return all(one and two and one["x"] < two["x"] for one, two in itertools.pairwise(places))


def test_the_most_recent_photo_is_read_digit_by_digit(server: Server, runs: tuple[str, str], visitor: Visitor) -> None:
    page = _open(visitor, server, runs[0])
    click(page.get_by_role("radio", name="Photo").or_(page.get_by_role("button", name="Photo")).first)
    for send, text in ((_upload, "205"), (_paste, "320"), (_upload, "203")):
        send(page, _sheet(text))
        page.get_by_text(f"reads {text}").wait_for()
        labels = page.locator(".cl-boxes b")  # one box per digit, in the order in which they are read
        until(
            page,
            lambda labels=labels, text=text: [b.rstrip("?") for b in labels.all_inner_texts()] == list(text),
            "the boxes of the last photo",
        )
        until(page, lambda: _ordered(page.locator(".cl-boxes span")), "the boxes from left to right")


def test_a_finger_draws_without_scrolling_the_page(server: Server, runs: tuple[str, str], visitor: Visitor) -> None:
    browser = visitor.page.context.browser
    assert browser is not None
    context = open_context(browser, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{server.url}/draw?runs={runs[0]}")
    page.wait_for_selector(_PAD)
    page.locator(_PAD).scroll_into_view_if_needed()
    settle(page)
    box = at_rest(page.locator(_PAD))
    scale, finger = box["width"] / 280, context.new_cdp_session(page)
    for stroke in place_strokes(POLYLINES["3"], Hand(pen=16, height=200)):
        for index, (x, y) in enumerate(stroke.points):
            point = {"x": box["x"] + x * scale, "y": box["y"] + y * scale}
            kind = "touchMove" if index else "touchStart"
            finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    becomes(page, lambda: _answer(page, 0), ["3"])
    becomes(page, lambda: at_rest(page.locator(_PAD))["y"], pytest.approx(box["y"], abs=1))
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= 390, "a page as wide as the window")
    context.close()


def _hide_examples(server: Server) -> None:
    open_lab(server.home).hide_examples(True)


def test_without_a_run_the_page_offers_to_train_one_with_its_estimated_duration(
    fresh_server: Server, visitor: Visitor
) -> None:
    _hide_examples(fresh_server)
    visitor.open(f"{fresh_server.url}/draw")
    page = visitor.page
    page.get_by_role("button", name="Train a LeNet on digits").wait_for()
    expect(page.get_by_text("on this machine", exact=False).first).to_contain_text(
        "Takes "
    )  # as soon as torch is imported
    visitor.press("Train a LeNet on digits")
    page.get_by_text("Training LeNet-5").first.wait_for()


@pytest.mark.slow
def test_a_network_trained_from_the_draw_page_reads_drawings_when_it_is_finished(
    fresh_server: Server, visitor: Visitor
) -> None:
    _hide_examples(fresh_server)
    visitor.open(f"{fresh_server.url}/draw")
    visitor.press("Train a LeNet on digits")
    visitor.page.wait_for_selector(_PAD, timeout=600_000)
    visitor.settle()
    _draw(visitor.page, "0")
    becomes(visitor.page, lambda: _answer(visitor.page, 0), ["0"])
