"""The Inside page on a run on digits: moving through the epochs, and from an error to its feature maps."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Server, Visitor, at_rest, becomes, click, press_key, train_in, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(idle_server: Server) -> Server:
    """A lab in which nothing trains."""
    return idle_server


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    """The id of a run of four epochs."""
    return train_in(server, epochs=4, seed=5)


def _look_inside(server: Server, visitor: Visitor, run: str) -> None:
    visitor.open(f"{server.url}/train?run={run}")
    expect(visitor.page.locator(".stMarkdownBadge", has_text="finished").first).to_be_visible()
    visitor.press("Look inside")


def _slider(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("slider", name="Epoch")


def _go_to_epoch(visitor: Visitor, epoch: int) -> None:
    """Move the slider and wait until the page shows that epoch."""
    _slider(visitor).fill(str(epoch))
    text = "before training" if epoch == 0 else f"after epoch {epoch}"
    visitor.page.get_by_text(re.compile(text)).first.wait_for()


def _open_view(visitor: Visitor, name: str) -> None:
    click(visitor.page.get_by_role("radio", name=name).or_(visitor.page.get_by_role("button", name=name)).first)
    visitor.settle()


def test_inside_leads_from_a_run_through_its_epochs_to_an_error_and_its_feature_maps(
    server: Server, run: str, visitor: Visitor
) -> None:
    page = visitor.page
    _look_inside(server, visitor, run)
    expect(page.get_by_role("heading", name="Inside", exact=True)).to_be_visible()
    visitor.settle()
    expect(_slider(visitor)).to_be_visible()

    for epoch in (0, 1, 2, 3, 4, 0, 4, 2, 1, 3):
        _go_to_epoch(visitor, epoch)
    until(page, lambda: "epoch=3" in page.evaluate("location.search"), "the epoch in the address")

    _open_view(visitor, "Evaluation")
    page.get_by_text("Test accuracy", exact=True).wait_for()
    _slider(visitor).fill("1")
    until(page, lambda: "epoch=1" in page.evaluate("location.search"), "the epoch in the address")
    visitor.settle()
    counts = {
        cell.get_attribute("aria-label"): cell
        for cell in page.locator("td button").all()
        if cell.get_attribute("data-truth") != cell.get_attribute("data-answer") and cell.inner_text()
    }
    label, cell = max(counts.items(), key=lambda item: int(item[1].inner_text()))
    number = int(cell.inner_text())
    click(cell)
    gallery = page.get_by_role("group", name="Test images").get_by_role("button")
    expect(gallery).to_have_count(number)
    truth, answer = re.findall(r"(?:truth|answered) (\S+?)[,:]", str(label))
    expect(gallery.first).to_contain_text(f"{truth} → {answer}")

    click(gallery.first)
    maps = page.get_by_role("group", name=re.compile("Feature maps of")).get_by_role("button")
    expect(maps.first).to_be_visible()
    expect(page.get_by_text(f"but it is {truth}")).to_be_visible()
    until(page, lambda: re.search(r"image=\d+", page.evaluate("location.search")), "the image in the address")
    click(maps.nth(2))
    expect(page.get_by_text("Channel 2", exact=True)).to_be_visible()
    expect(page.get_by_alt_text(re.compile("the frame is the receptive field of the strongest value"))).to_be_visible()
    visitor.settle()

    page.reload()
    visitor.settle()
    expect(maps.first).to_be_visible()
    expect(page.get_by_text("after epoch 1").first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.long
def test_a_click_on_a_feature_map_leads_to_the_convolution_that_computes_one_value(
    server: Server, run: str, visitor: Visitor
) -> None:
    page = visitor.page
    _look_inside(server, visitor, run)
    picture = page.get_by_role("group", name=re.compile("reading test image 0, after epoch"))
    click(picture.get_by_role("button", name="conv2, channel 3", exact=True))
    expect(page.get_by_text("conv2, channel 3 of 16")).to_be_visible()
    value = page.get_by_role("application", name=re.compile("^conv2, filter 3"))
    box = at_rest(value)
    cell = box["width"] / 10
    click(value, position={"x": 7.5 * cell, "y": 2.5 * cell})
    expect(value).to_have_attribute("aria-label", re.compile("Row 2, column 7: "))
    visitor.settle()
    sentence = page.get_by_text(re.compile("Sum of the products")).inner_text()
    first = re.findall(r"= (-?[\d.]+)\s+The network computed (-?[\d.]+):", sentence)
    assert [abs(float(a) - float(b)) < 1e-3 for a, b in first] == [True], sentence
    press_key(value, "ArrowDown")
    expect(value).to_have_attribute("aria-label", re.compile("Row 3, column 7: "))
    until(page, lambda: page.get_by_text(re.compile("Sum of the products")).inner_text() != sentence, "another sum")

    _slider(visitor).fill("0")
    expect(page.get_by_role("group", name=re.compile("reading test image 0, before training"))).to_be_visible()
    expect(value).to_have_attribute("aria-label", re.compile("Row 3, column 7: "))
    picture = page.get_by_role("group", name=re.compile("reading test image 0"))
    chosen = picture.get_by_role("button", name="conv2, channel 3", exact=True)
    expect(chosen).to_have_attribute("aria-pressed", "true")
    press_key(chosen, "ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("^pool1, channel "))).to_be_visible()


@pytest.mark.long
def test_a_click_on_a_class_shows_the_terms_of_its_logit_and_a_reload_shows_them_again(
    server: Server, run: str, visitor: Visitor
) -> None:
    page = visitor.page
    _look_inside(server, visitor, run)
    picture = page.get_by_role("group", name=re.compile("reading test image 0, after epoch"))
    click(picture.get_by_role("group", name="Probabilities of the classes").get_by_role("button").nth(7))
    expect(page.get_by_text("fc3, the class 7")).to_be_visible()
    until(page, lambda: "place=7" in page.evaluate("location.search"), "the value in the address")
    sentence = page.get_by_text(re.compile("Sum of the 84 products")).inner_text()
    summed, computed = re.findall(r"= (-?[\d.]+)\s+The network computed (-?[\d.]+):", sentence)[0]
    assert abs(float(summed) - float(computed)) < 1e-3

    page.reload()
    visitor.settle()
    again = page.get_by_text(re.compile("Sum of the 84 products"))
    expect(again).to_be_visible()
    becomes(page, again.inner_text, sentence)
    values = picture.get_by_role("button", name="Values of fc1: choose one")
    press_key(values, "Enter")
    expect(page.get_by_text(re.compile(r"fc1, unit \d+ of 120"))).to_be_visible()
    expect(page.get_by_role("group", name="Terms of the sum, by map of pool2").get_by_role("img")).to_have_count(16)


def test_a_layer_of_the_graph_shows_its_details_and_a_block_can_be_opened(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/architecture?arch=googlenet&view=graph")
    block = page.get_by_role("button", name=re.compile("^inception4a, .*14 operations"))
    expect(block).to_be_visible()
    click(block)
    opened = page.get_by_role("button", name=re.compile(r"^branch1\.conv, .*convolution"))
    expect(opened.first).to_be_visible()
    click(page.get_by_role("button", name=re.compile("^conv1, .*convolution")))
    expect(page.get_by_text("features.conv1")).to_be_visible()
    expect(page.get_by_text("7×7, stride 2")).to_be_visible()


def test_the_layer_table_sorts_and_folds(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/architecture")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(15)
    click(page.get_by_role("button", name="conv2: convolution · ReLU, 16×10×10"))
    expect(page.locator("tr.chosen")).to_contain_text(["conv2", "relu2"])
    click(page.get_by_role("button", name="Close features"))
    expect(rows).to_have_count(9)
    click(page.get_by_role("button", name="Parameters", exact=True))
    expect(rows.first).to_contain_text("classifier.fc1")


def _loss(visitor: Visitor) -> float:
    """Return the loss of the batch that the view shows."""
    text = visitor.page.get_by_text(re.compile(r"^Batch [\d.]+, ")).inner_text()
    return float(re.findall(r"^Batch ([\d.]+),", text)[0])


def test_training_steps_lower_the_loss_and_a_reload_shows_the_same_steps(
    server: Server, run: str, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/inside?run={run}")
    _open_view(visitor, "Training step")
    _slider(visitor).fill("0")
    becomes(page, lambda: "epoch=0" in page.evaluate("location.search"), True)
    expect(page.get_by_text("0 steps taken")).to_be_visible()
    visitor.settle()
    before = _loss(visitor)
    visitor.press("Take one step")
    expect(page.get_by_text("1 step taken")).to_be_visible()
    expect(page.get_by_text(re.compile("This step lowered the loss of the batch by"))).to_be_visible()
    until(page, lambda: _loss(visitor) < before, "a lower loss")
    visitor.settle()
    buttons = at_rest(page.get_by_role("button", name="Take one step"))
    heading = at_rest(page.get_by_role("heading", name="Kernels"))
    visitor.press("Take 10 steps")
    expect(page.get_by_text("11 steps taken")).to_be_visible()
    visitor.settle()
    assert at_rest(page.get_by_role("button", name="Take one step")) == buttons
    assert at_rest(page.get_by_role("heading", name="Kernels")) == heading  # nothing jumps between two steps
    after = _loss(visitor)
    assert after < before

    filters = page.get_by_role("group", name=re.compile("before and after the step")).get_by_role("button")
    click(filters.nth(3))
    expect(page.get_by_text(re.compile(r"One weight \(filter 3, channel 0, row"))).to_be_visible()

    page.reload()
    visitor.settle()
    expect(page.get_by_text("11 steps taken")).to_be_visible()
    becomes(page, lambda: _loss(visitor), after)
    visitor.press("Start over")
    expect(page.get_by_text("0 steps taken")).to_be_visible()
    becomes(page, lambda: _loss(visitor), before)
    becomes(page, lambda: "steps=" in page.evaluate("location.search"), False)
