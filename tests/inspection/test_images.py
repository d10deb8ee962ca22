"""Images by number and from files: valid ones pass unchanged, others are refused in one sentence."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from lab.data.pixels import is_on_paper
from lab.errors import InputError
from lab.inspection.images import pick_image, read_image

DIGIT = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
DATA = SimpleNamespace(
    train_images=np.zeros((3, 28, 28), np.uint8),
    train_labels=np.array([4, 5, 6]),
    test_images=DIGIT[None],
    test_labels=np.array([7]),
)


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, format="PNG")
    return out.getvalue()


def test_an_image_is_found_by_its_number() -> None:
    image, label = pick_image("test:0", DATA, size=28)
    assert np.array_equal(image, DIGIT)
    assert label == 7
    assert pick_image("train:2", DATA, size=28)[1] == 6


def test_a_grey_picture_of_the_right_size_is_read_bit_for_bit(tmp_path: Path) -> None:
    path = tmp_path / "digit.png"
    path.write_bytes(png(DIGIT))
    image, label = pick_image(str(path), DATA, size=28)
    assert np.array_equal(image, DIGIT)
    assert label is None
    assert np.array_equal(read_image(png(np.repeat(DIGIT[..., None], 3, 2)), size=28), DIGIT)


def test_another_size_is_accepted_only_with_fit() -> None:
    big = png(np.full((56, 40), 200, np.uint8))
    with pytest.raises(InputError, match=r"my\.png has 40×56 pixels, but the network expects 28×28"):
        read_image(big, size=28, name="my.png")
    assert (read_image(big, size=28, fit=True) == 200).all()


def test_a_fitted_picture_keeps_its_aspect_ratio_on_its_own_paper() -> None:
    scan = np.full((28, 56), 240, np.uint8)
    scan[4:24, 18:38] = 0  # a square of 20×20
    fitted = read_image(png(scan), size=28, fit=True)
    ink = fitted < 120
    # Half as large, and 14 rows of paper above: the ink lies in rows (14 + 4) / 2 to (14 + 24) / 2.
    assert np.flatnonzero(ink.any(axis=1)).tolist() == list(range(9, 19))
    assert np.flatnonzero(ink.any(axis=0)).tolist() == list(range(9, 19))
    turned = read_image(png(scan.T), size=28, fit=True)
    assert np.flatnonzero((turned < 120).any(axis=0)).tolist() == list(range(9, 19))
    assert (fitted[[0, -1]] == 240).all()
    assert is_on_paper(fitted)


def test_ink_on_transparency_is_laid_on_white_paper() -> None:
    ink = np.zeros((56, 56, 4), np.uint8)  # black everywhere, and transparent
    ink[10:40, 20:30, 3] = 255
    fitted = read_image(png(ink), size=28, fit=True)
    assert is_on_paper(fitted)
    assert fitted.min() < 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test:1", "must be followed by 0 to 0"),
        ("train:x", "must be followed by 0 to 2"),
        ("test:-1", "must be followed by"),
        ("nowhere.png", "give test:N, train:N, or the path"),
    ],
)
def test_an_image_that_does_not_exist_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pick_image(text, DATA, size=28)


@pytest.mark.parametrize("data", [b"", b"not a picture", png(DIGIT)[:60], b"GIF89a" + b"\0" * 40])
def test_a_file_that_is_not_a_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="the picture cannot be read as a picture"):
        read_image(data, size=28)


def test_ink_on_paper_is_distinguished_from_light_on_black_by_the_border() -> None:
    seven = np.zeros((28, 28), np.uint8)
    seven[4:24, 6:20] = 255  # more than a third is ink
    assert not is_on_paper(seven)
    assert is_on_paper(255 - seven)
    seven[0, 6:20] = 255  # ink that touches the border
    assert not is_on_paper(seven)
