"""Which arrays of an archive belong together: by their names if known, else by their shapes."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from lab.data.archives import Pairs, find_pairs
from lab.data.places import find_file
from lab.data.recognise import recognise

IMAGES, SMALL, TINY = np.zeros((3, 28, 28)), np.zeros((3, 8, 8)), np.zeros((3, 7, 9))
LABELS, ONE_HOT, TOO_MANY = np.zeros(3), np.zeros((3, 32)), np.zeros((3, 33))


@pytest.mark.parametrize(
    ("arrays", "pairs"),
    [
        ({"x_train": IMAGES, "y_train": LABELS}, Pairs(("x_train", "y_train"))),
        ({"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES}, Pairs(("x_train", "y_train"))),
        (
            dict.fromkeys(("x_train", "y_train", "x_test", "y_test"), IMAGES),
            Pairs(("x_train", "y_train"), ("x_test", "y_test")),
        ),
        (
            {f"{part}_{kind}": IMAGES for part in ("train", "val") for kind in ("images", "labels")},
            Pairs(("train_images", "train_labels"), None, ("val_images", "val_labels")),
        ),
        (
            {"train_images": IMAGES, "train_labels": LABELS, "val_images": IMAGES},
            Pairs(("train_images", "train_labels")),
        ),
        # Sixty-four numbers are an image, and up to thirty-two are a label.
        ({"a": SMALL, "b": LABELS}, Pairs(("a", "b"))),
        ({"a": TINY, "b": LABELS}, None),
        ({"b": ONE_HOT, "a": SMALL}, Pairs(("a", "b"))),
        ({"a": SMALL, "b": TOO_MANY}, None),
        ({"a": IMAGES, "b": LABELS, "c": np.array(28)}, Pairs(("a", "b"))),
        ({"a": IMAGES, "b": LABELS, "c": np.zeros((3, 0))}, Pairs(("a", "b"))),
        # Parts are recognised by their names, else by their order.
        ({"Xtest": IMAGES, "ytest": LABELS, "X": IMAGES, "y": LABELS}, Pairs(("X", "y"), ("Xtest", "ytest"))),
        ({"t10k-x": IMAGES, "t10k-y": LABELS, "X": IMAGES, "y": LABELS}, Pairs(("X", "y"), ("t10k-x", "t10k-y"))),
        ({"a": IMAGES, "b": LABELS, "aVal": IMAGES, "bVal": LABELS}, Pairs(("a", "b"), None, ("aVal", "bVal"))),
        ({"a": IMAGES, "b": LABELS, "c": IMAGES, "d": LABELS}, Pairs(("a", "b"), ("c", "d"))),
        ({"a": IMAGES, "b": LABELS, "c": IMAGES, "d": LABELS, "testx": IMAGES, "testy": LABELS}, None),
        ({"a": IMAGES, "b": LABELS, "x1test": IMAGES, "x2test": IMAGES, "y1test": LABELS, "y2test": LABELS}, None),
        # If there are more label arrays than image arrays, those named as labels are used.
        ({"a": IMAGES, "writer": LABELS, "y": LABELS}, Pairs(("a", "y"))),
        ({"a": IMAGES, "writer": LABELS, "the_label": LABELS}, Pairs(("a", "the_label"))),
        ({"a": IMAGES, "writer": LABELS, "size": LABELS}, None),
        ({}, None),
    ],
)
def test_images_are_paired_with_their_labels(arrays: dict[str, np.ndarray], pairs: Pairs | None) -> None:
    assert find_pairs(arrays) == pairs


def test_the_content_of_a_gzip_file_is_described_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    whole = gzip.compress(b"\0\0\x08\x01\0\0\x27\x10" + np.random.default_rng(0).bytes(10_000))
    path = tmp_path / "labels.gz"
    for content, inside in (
        (whole, "an idx file of 10,000 labels"),
        (whole[:-5_000], "an idx file of 10,000 labels"),  # its start is enough
        (whole[:10] + b"\xff" * 5_000, "damaged data"),
        (whole[:12], "empty"),
    ):
        path.write_bytes(content)
        assert recognise(path).words == f"a gzip file that contains {inside}"


@pytest.mark.parametrize("packed", [False, True])
def test_flat_files_belong_to_the_data_set_whose_first_labels_they_have(tmp_path: Path, packed: bool) -> None:
    fashion = b"\0\0\x08\x01\0\0\0\x0a" + bytes([9, 0, 0, 3, 0, 2, 7, 2, 5, 5])
    name = "train-labels-idx1-ubyte" + (".gz" if packed else "")
    (tmp_path / name).write_bytes(gzip.compress(fashion) if packed else fashion)
    found = {
        folder: find_file(tmp_path / folder / "raw" / "train-labels-idx1-ubyte") for folder in ("MNIST", "FashionMNIST")
    }
    assert found == {"MNIST": None, "FashionMNIST": tmp_path / name}
    (tmp_path / name).write_bytes(gzip.compress(fashion)[:12] if packed else fashion[:12])
    found = {
        folder: find_file(tmp_path / folder / "raw" / "train-labels-idx1-ubyte") for folder in ("MNIST", "FashionMNIST")
    }
    # Labels that cannot be read are taken for MNIST's, whose reader reports the damage.
    assert found == {"MNIST": tmp_path / name, "FashionMNIST": None}
