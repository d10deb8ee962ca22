"""Picture files as `predict` reads them: one record per file, the digits found in a photo, and unreadable files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lab.charts.tiles import encode
from lab.data.load import Dataset
from lab.data.registry import get_dataset_spec
from lab.errors import InputError
from lab.sketch.files import predict_images
from lab.sketch.normalise import normalise
from lab.sketch.reading import compute_probabilities
from lab.sketch.render import Hand, draw_digit
from lab.sketch.saved import encode_ink
from lab.sketch.sketch import Sketch, Stroke, sketch_from_strokes
from tests.sketch.conftest import Loaded
from tests.sketch.photo_pictures import NO_DIGITS, file_of

CASES = Path(__file__).parent.parent / "cases" / "pictures"


@pytest.fixture
def tiny() -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (30, 28, 28)).astype(np.uint8)
    images[:, [0, -1]] = images[:, :, [0, -1]] = 0  # a margin of paper, as the data sets have
    labels = np.arange(30) % 2
    return Dataset(get_dataset_spec("mnist"), images, labels, images, labels, 0.0, 1.0)


def test_predictions_of_files_are_json_safe_and_in_order(halves: Loaded, tiny: Dataset) -> None:
    left = np.zeros((28, 28), dtype=np.uint8)
    left[2:26, 4] = 255
    files = [("a.png", encode_ink(Sketch(left, "file"))), ("b.png", encode_ink(Sketch(left[:, ::-1], "file")))]
    first, second = predict_images(halves, files, dataset=tiny)
    assert (first["image"], first["label"], second["label"]) == ("a.png", "left", "right")
    assert sum(first["probabilities"]) == pytest.approx(1.0)
    assert isinstance(first["unsure"], bool)
    assert json.loads(json.dumps(first, allow_nan=False)) == first


def test_a_picture_of_another_size_is_refused_without_sketch_and_read_with_it(halves: Loaded, tiny: Dataset) -> None:
    picture = [("big.png", encode_ink(draw_digit("7", Hand(pen=20))))]
    with pytest.raises(InputError, match=r"big.png has 280×280 pixels, but the network expects 28×28: add --sketch"):
        predict_images(halves, picture, dataset=tiny)
    (found,) = predict_images(halves, picture, dataset=tiny, sketch=True)
    assert found["label"] in ("left", "right")
    assert len(found["digits"]) == 1
    top, left, bottom, right = found["digits"][0]["box"]
    assert bottom - top > right - left > 0


@pytest.mark.parametrize("kind", ["blank", "frame", "grid", "lines", "sheet_on_table"])
def test_a_picture_without_digits_gets_no_label_and_a_reason(halves: Loaded, tiny: Dataset, kind: str) -> None:
    picture = file_of(NO_DIGITS[kind](np.random.default_rng(1)))
    (found,) = predict_images(halves, [("empty.png", picture)], dataset=tiny, sketch=True)
    assert (found["label"], found["probabilities"], found["digits"], found["unsure"]) == (None, [], [], True)
    assert found["reason"].startswith("There is no ")


def test_a_row_of_digits_is_read_one_by_one(halves: Loaded, tiny: Dataset) -> None:
    data = (CASES / "row-2026.png").read_bytes()
    (found,) = predict_images(halves, [("row.png", data)], dataset=tiny, sketch=True)
    assert len(found["digits"]) == 4
    assert found["label"] == "".join(digit["label"] for digit in found["digits"])
    assert all(sum(digit["probabilities"]) == pytest.approx(1.0) for digit in found["digits"])
    assert found["unsure"] == any(digit["unsure"] for digit in found["digits"])


def test_unreadable_files_among_several_are_reported_and_the_others_read(halves: Loaded, tiny: Dataset) -> None:
    good = encode_ink(draw_digit("7", Hand(pen=20)))
    given: list[tuple[str, bytes | InputError]] = [
        ("good.png", good),
        ("bad.png", b"nothing"),
        ("gone.png", InputError("gone.png cannot be read (gone).")),
        ("cut.png", good[:200]),
        ("again.png", good),
    ]
    records = predict_images(halves, given, dataset=tiny, sketch=True)
    assert ["error" in record for record in records] == [False, True, True, True, False]
    assert "bad.png cannot be read as a picture" in records[1]["error"]
    assert records[2]["error"] == "gone.png cannot be read (gone)."
    assert records[0]["label"] == records[4]["label"] is not None
    assert records[1]["label"] is None


def test_a_single_unreadable_file_is_refused(halves: Loaded, tiny: Dataset) -> None:
    with pytest.raises(InputError, match=r"bad.png cannot be read as a picture \(its format is not known\)"):
        predict_images(halves, [("bad.png", b"nothing")], dataset=tiny)


@pytest.mark.parametrize("paper", [200, 255])
def test_a_picture_that_looks_inverted_is_unsure_for_that_reason(halves: Loaded, tiny: Dataset, paper: int) -> None:
    image = np.full((28, 28), paper, np.uint8)
    image[5:22, 6:9] = 10
    (inverted,) = predict_images(halves, [("a.png", file_of(image))], dataset=tiny)
    (upright,) = predict_images(halves, [("a.png", file_of(255 - image.astype(float)))], dataset=tiny)
    assert inverted["unsure"]
    assert inverted["reasons"][0].startswith("it looks inverted: dark ink on light")
    assert not any("inverted" in reason for reason in upright["reasons"])


def test_one_unsure_digit_makes_the_whole_number_unsure_with_its_reasons(halves: Loaded, tiny: Dataset) -> None:
    # The same network without a linear layer, so without features to compare.
    convolution = nn.Conv2d(1, 2, 28, bias=False)
    with torch.no_grad():
        convolution.weight.copy_(halves.network.get_parameter("1.weight").view(2, 1, 28, 28))
    halves = replace(halves, network=nn.Sequential(convolution, nn.Flatten()))
    recipe = tiny.spec.require_recipe()
    hands = [draw_digit(digit, Hand(pen=pen)) for digit in "0123456789" for pen in (14, 18, 22)]
    images = np.stack([normalise(hand, recipe=recipe) for hand in hands])
    labels = compute_probabilities(halves, images).argmax(axis=1)  # the network reads all of them correctly
    known = replace(tiny, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    tangle = sketch_from_strokes([Stroke(tuple((60 + 14 * n, 70 + 140 * (n % 2)) for n in range(12)), 12)])
    row = np.concatenate([draw_digit("3").ink, tangle.ink], axis=1)
    (found,) = predict_images(halves, [("row.png", encode(np.pad(row, 80)))], dataset=known, sketch=True)
    assert [digit["unsure"] for digit in found["digits"]] == [False, True]
    assert (found["unsure"], found["reasons"]) == (True, found["digits"][1]["reasons"])
    assert found["label"] == "".join(digit["label"] for digit in found["digits"])
