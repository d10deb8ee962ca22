"""Photos: dark on light or light on dark, uneven light, several digits, dust."""

import numpy as np
import pytest

from lab.errors import InputError
from lab.sketch.photo import find_ink, split_digits
from lab.sketch.render import Hand, draw_digit


def _sheet(text: str, *, paper: float = 235, ink: float = 50, shade: float = 0.0, noise: float = 3.0) -> np.ndarray:
    """Return a photo of digits on a sheet that darkens by `shade` levels from left to right."""
    wide = 220 * len(text) + 60
    sheet = np.full((340, wide), paper) - np.linspace(0, shade, wide)[None]
    for index, digit in enumerate(text):
        drawn = draw_digit(digit, Hand(pen=14, height=160)).ink / 255.0
        left = 220 * index
        part = sheet[30:310, left : left + 280]
        part += (ink - paper) * drawn[:, : part.shape[1]]
    sheet += np.random.default_rng(0).normal(0, noise, sheet.shape)
    return np.clip(sheet, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("polarity", ["dark on light", "light on dark"])
def test_ink_is_found_in_both_polarities(polarity: str) -> None:
    sheet = _sheet("7")
    found = find_ink(sheet if polarity == "dark on light" else 255 - sheet).ink
    drawn = draw_digit("7", Hand(pen=14, height=160)).ink[:, :280] > 127
    area = found[30:310, :280] > 127
    assert (area & drawn).sum() / (area | drawn).sum() > 0.9
    assert (found[:30] > 60).sum() == 0


def test_a_shadow_over_the_page_is_not_ink() -> None:
    found = find_ink(_sheet("2026", shade=110))
    assert len(split_digits(found)) == 4
    assert (found.ink > 60).mean() < 0.1


@pytest.mark.parametrize("text", ["3", "2026", "54"])
def test_a_photo_is_split_into_its_digits_from_left_to_right(text: str) -> None:
    parts = split_digits(find_ink(_sheet(text)))
    assert len(parts) == len(text)
    if len(parts) > 1:
        heights = [np.flatnonzero(part.ink.max(axis=1) > 127) for part in parts]
        assert all(140 < rows[-1] - rows[0] < 200 for rows in heights)
        assert all(part.ink.shape[0] == part.ink.shape[1] for part in parts)


def test_pieces_above_one_another_are_one_digit_and_dust_is_none() -> None:
    ink = np.zeros((200, 300), dtype=np.uint8)
    ink[40:48, 60:110] = 255  # the bar of a five, drawn on its own
    ink[60:150, 60:70] = 255
    ink[60:68, 60:110] = 255
    ink[40:150, 200:210] = 255  # a one
    ink[10, 10] = 255  # dust
    parts = split_digits(type(draw_digit("1"))(ink, "photo"))
    assert len(parts) == 2


def test_two_lines_are_read_one_after_the_other() -> None:
    ink = np.zeros((200, 200), dtype=np.uint8)
    ink[10:60, 120:130] = 255
    ink[12:62, 20:50] = 255
    ink[120:180, 30:36] = 255
    widths = [np.flatnonzero(p.ink.max(axis=0)).size for p in split_digits(type(draw_digit("1"))(ink, "photo"))]
    assert widths == [30, 10, 6]


@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_empty_sheet_has_no_ink(level: int) -> None:
    sheet = np.full((120, 160), level) + np.random.default_rng(1).normal(0, 4, (120, 160))
    assert find_ink(np.clip(sheet, 0, 255).astype(np.uint8)).blank


def test_hundreds_of_pieces_are_not_a_number() -> None:
    ink = np.zeros((400, 400), dtype=np.uint8)
    ink[::20, ::20] = 255
    ink[1::20, ::20] = 255
    ink[::20, 1::20] = 255
    ink[1::20, 1::20] = 255
    with pytest.raises(InputError, match="separate pieces, more than 24"):
        split_digits(type(draw_digit("1"))(ink, "photo"))
