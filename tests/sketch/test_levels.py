"""Pictures of only ink and paper: the paper is known where ink crowds it; shadows and strips are not such pictures."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from lab.data.pictures import read_colours
from lab.data.recipes import RECIPES
from lab.sketch.levels import paper_of_two_levels
from lab.sketch.normalise import normalise
from lab.sketch.photo import find_digits
from lab.sketch.render import Hand, draw_digit

_NOISE = np.random.default_rng(0).normal(0, 2, (600, 600))


def _cut(digit: str, *, margin: int, pen: float = 22) -> np.ndarray:
    """Return a digit's ink in [0, 1] with `margin` pixels of paper around it."""
    ink = np.asarray(draw_digit(digit, Hand(pen=pen, height=200, slant=0.15)).ink)
    rows, columns = np.flatnonzero(ink.max(axis=1) > 60), np.flatnonzero(ink.max(axis=0) > 60)
    return np.pad(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], margin) / 255.0


def _photo(ink: np.ndarray, *, paper: float = 235, pen: float = 40, shade: float = 0.0) -> np.ndarray:
    light = np.linspace(1, 1 - shade, ink.shape[1])[None]
    noise = _NOISE[: ink.shape[0], : ink.shape[1]]
    return np.clip((paper + (pen - paper) * ink) * light + noise, 0, 255).astype(np.uint8)


def _alike(photo: np.ndarray, digit: str, *, pen: float = 22) -> float:
    """Return the correlation of the one digit in a photo with the same digit drawn on the pad."""
    (found,) = find_digits(photo).digits
    recipe = RECIPES["mnist"]
    drawn = normalise(draw_digit(digit, Hand(pen=pen, height=200, slant=0.15)), recipe=recipe)
    return float(np.corrcoef(normalise(found, recipe=recipe).ravel(), drawn.ravel())[0, 1])


@pytest.mark.parametrize("margin", [0, 3])
@pytest.mark.parametrize("digit", "0124579")
def test_a_single_digit_that_fills_its_picture_is_found(digit: str, margin: int) -> None:
    assert _alike(_photo(_cut(digit, margin=margin)), digit) > 0.9


@pytest.mark.parametrize("digit", "27")
def test_a_digit_that_fills_its_picture_is_found_in_falling_light_and_light_on_dark(digit: str) -> None:
    ink = _cut(digit, margin=0)
    assert _alike(_photo(ink, shade=0.5), digit) > 0.9
    assert _alike(_photo(ink, paper=30, pen=220), digit) > 0.9


def test_a_digit_that_fills_its_picture_is_found_in_a_coarse_jpeg() -> None:
    out = io.BytesIO()
    Image.fromarray(_photo(_cut("3", margin=0))).save(out, "JPEG", quality=5)
    assert _alike(read_colours(out.getvalue()), "3") > 0.85


@pytest.mark.parametrize("sides", [(0, 90, 60, 60), (80, 0, 60, 60), (70, 70, 0, 90), (0, 0, 90, 90)])
def test_a_digit_that_reaches_some_of_the_sides_is_found(sides: tuple[int, int, int, int]) -> None:
    top, bottom, left, right = sides
    ink = np.pad(_cut("3", margin=0), ((top, bottom), (left, right)))
    assert _alike(_photo(ink), "3") > 0.9


@pytest.mark.parametrize("margin", [0, 40])
@pytest.mark.parametrize("digit", "2357")
def test_strokes_a_third_as_wide_as_the_digit_are_read_as_ink(digit: str, margin: int) -> None:
    ink = _cut(digit, margin=margin, pen=44)
    assert _alike(_photo(ink), digit, pen=44) > 0.9


def _half(sheet: np.ndarray) -> None:
    sheet[:, :170] = 80


def _band(sheet: np.ndarray) -> None:
    sheet[:, 200:260] = 80


def _leaning(sheet: np.ndarray) -> None:
    cv2.line(sheet, (150, -40), (260, 340), 40, 40)


def _flat(sheet: np.ndarray) -> None:
    sheet[120:180] = 80


def _crossed(sheet: np.ndarray) -> None:
    sheet[130:170] = sheet[:, 190:240] = 40


def _cornered(sheet: np.ndarray) -> None:
    cv2.fillPoly(sheet, [np.array([[0, 0], [330, 0], [0, 260]], np.int32)], 60)


def _stripped(sheet: np.ndarray) -> None:
    sheet[:, :30] = sheet[-8:] = 50


def _thumb(sheet: np.ndarray) -> None:
    cv2.ellipse(sheet, (200, 300), (70, 150), 0, 0, 360, 90, -1)


@pytest.mark.parametrize(
    "draw", [_half, _band, _leaning, _flat, _crossed, _cornered, _stripped, _thumb], ids=lambda draw: draw.__name__
)
def test_shapes_that_run_off_a_blank_sheet_are_not_digits(draw: Callable[[np.ndarray], None]) -> None:
    sheet = np.full((300, 400), 235, np.uint8)
    draw(sheet)
    noisy = np.clip(sheet + _NOISE[:300, :400], 0, 255).astype(np.uint8)
    assert find_digits(noisy).digits == ()
    assert find_digits(np.ascontiguousarray(noisy.T)).digits == ()


@pytest.mark.parametrize(("top", "left", "bottom"), [(60, 150, 6), (200, 150, 0), (60, 26, 0)])
def test_only_the_digit_is_read_next_to_a_scanners_dark_strips(top: int, left: int, bottom: int) -> None:
    ink = np.zeros((500, 400))
    four = _cut("4", margin=0, pen=14)
    ink[top : top + four.shape[0], left : left + four.shape[1]] = four
    ink[:, :20] = 1
    ink[500 - bottom :] = 1
    assert _alike(_photo(ink), "4", pen=14) > 0.9


def test_dark_corners_around_a_digit_are_not_read_as_digits() -> None:
    rows, columns = np.indices((500, 500))
    light = 1 - 0.75 * (np.hypot(rows - 220, columns - 240) / 380) ** 2.6
    ink = np.zeros((500, 500))
    six = _cut("6", margin=0, pen=20)[::2, ::2]
    ink[90 : 90 + six.shape[0], 100 : 100 + six.shape[1]] = six
    assert len(find_digits(np.clip(_photo(ink) * light, 0, 255).astype(np.uint8)).digits) == 1


def _levels(picture: np.ndarray) -> np.ndarray:
    return np.log(np.asarray(picture, np.float32) + 12)[..., None]


def test_the_papers_level_is_known_under_the_ink() -> None:
    ink = np.pad(np.ones((90, 30)), ((0, 10), (10, 60)))
    light = np.exp(np.linspace(0, -0.7, 100))[None]
    found = paper_of_two_levels(np.log(np.where(ink > 0, 50, 200) * light).astype(np.float32)[..., None])
    assert found is not None
    paper, where = found
    assert np.count_nonzero(where != (ink > 0)) <= 6  # its two corners, which the median rounds
    np.testing.assert_allclose(paper[..., 0], np.broadcast_to(np.log(200 * light), (100, 100)), atol=0.02)


def test_a_picture_with_a_third_level_is_not_one_of_ink_and_paper() -> None:
    picture = np.full((100, 100), 220)
    picture[:, 60:] = 120  # a shadow
    picture[30:70, 20:30] = 40
    assert paper_of_two_levels(_levels(picture)) is None


def test_a_sheet_between_dark_strips_is_not_ink() -> None:
    picture = np.full((100, 100), 220)
    picture[:, :8] = picture[:, -8:] = picture[-6:] = 40
    assert paper_of_two_levels(_levels(picture)) is None


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_picture_of_one_value_does_not_have_two_levels(value: int) -> None:
    assert paper_of_two_levels(_levels(np.full((40, 60), value))) is None
