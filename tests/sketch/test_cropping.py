"""Strips cropped up to their digits: all digits are found, and ink that runs off a sheet is still not a digit."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from lab.data.recipes import RECIPES
from lab.sketch.cropping import is_tight
from lab.sketch.normalise import normalise
from lab.sketch.photo import find_digits
from lab.sketch.render import Hand, draw_digit


def _cropped(text: str, *, margin: int, pen: float = 14) -> np.ndarray:
    """Return the ink in [0, 1] of digits in a row, with `margin` pixels of paper around them."""
    parts = []
    for digit in text:
        ink = np.asarray(draw_digit(digit, Hand(pen=pen, height=160)).ink)
        rows, columns = np.flatnonzero(ink.max(axis=1) > 20), np.flatnonzero(ink.max(axis=0) > 20)
        parts.append(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    tall = max(len(part) for part in parts)
    apart = [np.pad(part, ((0, tall - len(part)), (0, 24))) for part in parts]
    return np.pad(np.hstack(apart)[:, :-24], margin) / 255.0


def _photo(ink: np.ndarray, *, shade: float = 0.0, paper: float = 235, pen: float = 50) -> np.ndarray:
    """Return a photo, uint8, of ink on paper whose light falls by the share `shade` from left to right."""
    light = np.linspace(1, 1 - shade, ink.shape[1])[None]
    noise = np.random.default_rng(0).normal(0, 2, ink.shape)
    return np.clip((paper + (pen - paper) * ink) * light + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("margin", [0, 2, 20])
@pytest.mark.parametrize("text", ["20265", "31417", "11111"])
def test_each_digit_of_a_strip_is_found_however_tightly_it_is_cropped(text: str, margin: int) -> None:
    ink = _cropped(text, margin=margin)
    found = find_digits(_photo(ink))
    assert len(found.digits) == len(text)
    assert found.reason == ""
    assert found.sheet.shape[:2] == found.size
    recipe = RECIPES["mnist"]
    for digit, shown in zip(found.digits, text, strict=True):
        plain = normalise(draw_digit(shown, Hand(pen=14, height=160)), recipe=recipe).astype(float).ravel()
        assert np.corrcoef(normalise(digit, recipe=recipe).astype(float).ravel(), plain)[0, 1] > 0.9


@pytest.mark.parametrize("shade", [0.3, 0.5])
@pytest.mark.parametrize("margin", [0, 1, 20])
def test_a_strip_in_falling_light_is_not_taken_for_a_sheet_on_a_table(margin: int, shade: float) -> None:
    assert len(find_digits(_photo(_cropped("8096", margin=margin), shade=shade)).digits) == 4


@pytest.mark.parametrize("polarity", ["dark on light", "light on dark"])
def test_a_tight_strip_is_read_in_both_polarities(polarity: str) -> None:
    photo = _photo(_cropped("2026", margin=0))
    assert len(find_digits(photo if polarity == "dark on light" else 255 - photo).digits) == 4


def _ruled(mask: np.ndarray) -> None:
    for at in range(30, 300, 40):
        cv2.line(mask, (0, at), (399, at + 3), 255, 3)


def _slanted(mask: np.ndarray) -> None:
    for at in range(-300, 400, 60):
        cv2.line(mask, (at, 0), (at + 150, 299), 255, 3)


def _squared(mask: np.ndarray) -> None:
    _ruled(mask)
    for at in range(20, 400, 40):
        cv2.line(mask, (at, 0), (at, 299), 255, 3)


def _scanned(mask: np.ndarray) -> None:
    mask[:, :12] = mask[-9:] = 255
    cv2.ellipse(mask, (200, 130), (40, 80), 0, 0, 360, 255, 9)


def _framed(mask: np.ndarray) -> None:
    cv2.rectangle(mask, (0, 0), (399, 299), 255, 5)
    cv2.rectangle(mask, (120, 0), (260, 299), 255, 5)


def _shadowed(mask: np.ndarray) -> None:
    mask[:, :150] = mask[:120, 250:] = 255


def _cut_off(mask: np.ndarray) -> None:
    cv2.ellipse(mask, (150, 150), (40, 80), 0, 0, 360, 255, 9)
    cv2.ellipse(mask, (399, 200), (30, 50), 0, 0, 360, 255, 9)


def _single(mask: np.ndarray) -> None:
    cv2.ellipse(mask, (200, 150), (120, 149), 0, 0, 360, 255, 9)


@pytest.mark.parametrize(
    "draw",
    [_ruled, _slanted, _squared, _scanned, _framed, _shadowed, _cut_off, _single],
    ids=lambda draw: draw.__name__,
)
def test_ink_that_runs_off_a_sheet_does_not_make_it_a_tight_crop(draw: Callable[[np.ndarray], None]) -> None:
    mask = np.zeros((300, 400), np.uint8)
    draw(mask)
    assert not is_tight(mask)
    assert not is_tight(np.ascontiguousarray(mask.T))


def test_a_picture_without_ink_is_not_a_tight_crop() -> None:
    assert not is_tight(np.zeros((300, 400), np.uint8))


def _two(size: tuple[int, int], *, wide: int = 100, tall: int = 300, apart: int = 190) -> np.ndarray:
    """Return a mask with two drawn rings side by side that touch its top edge."""
    mask = np.zeros(size, np.uint8)
    for left in (10, 10 + apart):
        cv2.ellipse(mask, (left + wide // 2, tall // 2), (wide // 2 - 5, tall // 2 - 5), 0, 0, 360, 255, 9)
    return mask


@pytest.mark.parametrize(("tall", "tight"), [(158, False), (170, True), (300, True)])
def test_digits_of_a_tight_crop_are_longer_than_half_of_its_shorter_side(tall: int, tight: bool) -> None:
    assert is_tight(_two((300, 400), tall=tall)) is tight


@pytest.mark.parametrize(("wide", "tight"), [(340, True), (370, True), (384, False)])
def test_a_piece_longer_than_five_quarters_of_the_shorter_side_is_not_a_digit(wide: int, tight: bool) -> None:
    assert is_tight(_two((300, 900), wide=wide, apart=450)) is tight


@pytest.mark.parametrize(("wide", "tight"), [(40, False), (49, False), (60, True)])
def test_bars_six_times_as_long_as_wide_are_lines_that_run_off(wide: int, tight: bool) -> None:
    mask = np.zeros((300, 400), np.uint8)
    mask[:, 60 : 60 + wide] = mask[:, 250 : 250 + wide] = 255
    assert is_tight(mask) is tight
