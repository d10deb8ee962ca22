"""A student looks inside: trains on digits, scrubs through the epochs, follows a mistake into the feature maps."""

import re
import statistics
import time

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Server, Visitor

pytestmark = pytest.mark.browser
_TRAINED_MS = 90_000
_ANSWER_MS = 300  # what the slider promises for small networks once visited
_SLACK = 4  # times: the test machine is shared with everything else


def _train(server: Server, visitor: Visitor) -> None:
    visitor.open(f"{server.url}/train")
    field = visitor.page.get_by_label("Epochs", exact=True).first
    field.fill("4")
    field.press("Enter")
    visitor.settle()
    visitor.press("Train")
    expect(visitor.page.get_by_text("finished", exact=True).first).to_be_visible(timeout=_TRAINED_MS)


def _slider(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("slider", name="Epoch")


def _go_to_epoch(visitor: Visitor, epoch: int) -> float:
    """Move the slider and return the seconds until the page shows that epoch."""
    slider = _slider(visitor)
    began = time.perf_counter()
    slider.fill(str(epoch))
    words = "before training" if epoch == 0 else f"after epoch {epoch}"
    visitor.page.get_by_text(re.compile(words)).first.wait_for(timeout=20_000)
    return time.perf_counter() - began


def _open_view(visitor: Visitor, name: str) -> None:
    visitor.page.get_by_role("radio", name=name).or_(visitor.page.get_by_role("button", name=name)).first.click()
    visitor.settle()


def test_from_training_to_the_epochs_to_a_mistake_to_its_feature_maps(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    _train(server, visitor)
    visitor.press("Look inside")
    expect(page.get_by_role("heading", name="Inside", exact=True)).to_be_visible(timeout=30_000)
    visitor.settle()
    expect(_slider(visitor)).to_be_visible(timeout=30_000)

    for epoch in range(5):
        _go_to_epoch(visitor, epoch)
    seconds = [_go_to_epoch(visitor, epoch) for epoch in (0, 4, 2, 1, 3)]
    assert statistics.median(seconds) * 1000 < _ANSWER_MS * _SLACK
    assert "epoch=3" in page.evaluate("location.search")

    _open_view(visitor, "Right and wrong")
    _slider(visitor).fill("1")
    page.get_by_text("Test accuracy", exact=True).wait_for()
    visitor.settle()
    counts = {
        cell.get_attribute("aria-label"): cell
        for cell in page.locator("td button").all()
        if cell.get_attribute("data-truth") != cell.get_attribute("data-answer") and cell.inner_text()
    }
    label, cell = max(counts.items(), key=lambda item: int(item[1].inner_text()))
    number = int(cell.inner_text())
    cell.click()
    gallery = page.get_by_role("group", name="Test images").get_by_role("button")
    expect(gallery).to_have_count(number)
    truth, answer = re.findall(r"(?:truth|answered) (\S+?)[,:]", str(label))
    expect(gallery.first).to_contain_text(f"{truth} → {answer}")

    gallery.first.click()
    maps = page.get_by_role("group", name=re.compile("Feature maps of")).get_by_role("button")
    expect(maps.first).to_be_visible(timeout=20_000)
    expect(page.get_by_text(f"but it is {truth}")).to_be_visible()
    assert re.search(r"image=\d+", page.evaluate("location.search"))
    maps.nth(2).click()
    expect(page.get_by_text("Channel 2", exact=True)).to_be_visible()
    expect(page.get_by_alt_text(re.compile("the frame is what the strongest value"))).to_be_visible()
    visitor.settle()

    page.reload()
    visitor.settle()
    expect(maps.first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("after epoch 1").first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_box_of_the_graph_tells_its_numbers_and_a_block_opens(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/architecture?arch=googlenet&view=graph")
    block = page.get_by_role("button", name=re.compile("^inception4a, 14 steps"))
    expect(block).to_be_visible(timeout=60_000)
    block.click()
    opened = page.get_by_role("button", name=re.compile(r"^branch1\.conv, convolution"))
    expect(opened.first).to_be_visible(timeout=20_000)
    page.get_by_role("button", name=re.compile("^conv1, convolution")).click()
    expect(page.get_by_text("features.conv1")).to_be_visible(timeout=20_000)
    expect(page.get_by_text("7×7, stride 2")).to_be_visible()


def test_the_layer_table_sorts_and_folds(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/architecture")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(15, timeout=60_000)
    page.get_by_role("button", name="Close features").click()
    expect(rows).to_have_count(9)
    page.get_by_role("button", name="Parameters", exact=True).click()
    expect(rows.first).to_contain_text("classifier.fc1")
