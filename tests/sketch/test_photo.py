"""Photos: digits are found whatever the light, the paper and the file, and none are found where there are none."""

import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.photo_kinds import KINDS
from lab.data.pictures import read_colours
from lab.data.recipes import RECIPES
from lab.errors import InputError
from lab.sketch.normalise import normalise
from lab.sketch.photo import MAX_DIGITS, WORK_SIDE, find_digits
from lab.sketch.pieces import MAX_LABELLED, MAX_PIECES, Pieces, find_pieces, group, touches_edge, without_dust
from lab.sketch.render import Hand, draw_digit
from tests.sketch.photo_pictures import NO_DIGITS, digit_image, file_of

CASES = Path(__file__).parent.parent / "cases" / "pictures"
# The number of digits that each case shows.
SHOWN = {
    "dim-paper-corners-7.png": 1,
    "dim-paper-flat-3.png": 1,
    "equal-grey-red-green-7.png": 1,
    "form-box-3.png": 1,
    "grey16-full-3.png": 1,
    "grid-dark-7.png": 1,
    "grid-paper-1.png": 1,
    "hard-shadow-2.jpg": 1,
    "lab-tiff-6.tif": 1,
    "lined-paper-4.png": 1,
    "row-2026.png": 4,
    "sheet-on-dark-table-5.jpg": 1,
    "small-digit-large-sheet-3.png": 1,
    "white-on-alpha-3.png": 1,
}


def _alike(one: np.ndarray, two: np.ndarray) -> float:
    """Return the correlation of two normalised pictures, the best of shifts by up to two pixels."""
    a = one.astype(float).ravel()
    best = -1.0
    for down in range(-2, 3):
        for across in range(-2, 3):
            b = np.roll(two, (down, across), axis=(0, 1)).astype(float).ravel()
            best = max(best, float(np.corrcoef(a, b)[0, 1]))
    return best


def test_every_case_of_the_folder_is_listed() -> None:
    assert {path.name for path in CASES.iterdir()} == set(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_every_case_gives_the_number_of_digits_that_it_shows(name: str) -> None:
    found = find_digits(read_colours((CASES / name).read_bytes()), name=name)
    assert len(found.digits) == SHOWN[name]
    assert found.reason == ""


@pytest.mark.parametrize(
    "kind", ["dim-paper-flat-3.png", "form-box-3.png", "white-on-alpha-3.png", "small-digit-large-sheet-3.png"]
)
def test_the_same_digit_gives_the_same_picture_however_it_was_photographed(kind: str) -> None:
    plain = find_digits(read_colours((CASES / "grey16-full-3.png").read_bytes())).digits[0]
    other = find_digits(read_colours((CASES / kind).read_bytes())).digits[0]
    recipe = RECIPES["mnist"]
    assert _alike(normalise(plain, recipe=recipe), normalise(other, recipe=recipe)) > 0.9


@pytest.mark.parametrize("digit", ["2", "7", *(pytest.param(each, marks=pytest.mark.long) for each in ("4", "5", "9"))])
@pytest.mark.parametrize("kind", KINDS)
def test_a_digit_is_cut_out_of_every_kind_of_photo(kind: str, digit: str) -> None:
    image = digit_image(digit)
    random = np.random.default_rng([zlib.crc32(kind.encode()), int(digit)])
    found = find_digits(read_colours(KINDS[kind](image, random)))
    assert len(found.digits) == 1
    seen = normalise(found.digits[0], recipe=RECIPES["mnist"])
    wanted = normalise(draw_digit(digit, Hand(pen=26, height=200, slant=0.1)), recipe=RECIPES["mnist"])
    assert _alike(seen, wanted) > 0.7  # it may be rotated by up to six degrees


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("kind", NO_DIGITS)
def test_a_picture_without_a_digit_gets_a_reason(kind: str, number: int) -> None:
    picture = NO_DIGITS[kind](np.random.default_rng([zlib.crc32(kind.encode()), number]))
    found = find_digits(read_colours(file_of(picture)), name="my.png")
    assert found.digits == ()
    assert found.reason.startswith(("There is no ink in my.png", "There is no digit in my.png"))
    assert len(found.reason) < 300


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
def test_the_same_ink_is_found_in_both_polarities(polarity: str) -> None:
    sheet = _sheet("7")
    (found,) = find_digits(sheet if polarity == "dark on light" else 255 - sheet).digits
    drawn = normalise(draw_digit("7", Hand(pen=14, height=160)), recipe=RECIPES["mnist"])
    assert _alike(normalise(found, recipe=RECIPES["mnist"]), drawn) > 0.95


@pytest.mark.parametrize("text", ["3", "2026", "54", "1111"])
@pytest.mark.parametrize("shade", [0, 110])
def test_a_photo_is_split_into_its_digits_from_left_to_right(text: str, shade: float) -> None:
    found = find_digits(_sheet(text, shade=shade))
    assert len(found.digits) == len(text)
    lefts = [left for _, left, _, _ in found.boxes]
    assert lefts == sorted(lefts)
    assert all(digit.ink.shape[0] == digit.ink.shape[1] for digit in found.digits)
    for digit, shown in zip(found.digits, text, strict=True):
        drawn = normalise(draw_digit(shown, Hand(pen=14, height=160)), recipe=RECIPES["mnist"])
        assert _alike(normalise(digit, recipe=RECIPES["mnist"]), drawn) > 0.9


def test_a_character_of_several_strokes_stays_whole_without_splitting() -> None:
    assert len(find_digits(_sheet("11"), split=False).digits) == 1


def _grouped(ink: np.ndarray) -> list[tuple[int, int, int, int]]:
    pieces = find_pieces(ink)
    return [box for box, _ in group(pieces, range(len(pieces.boxes)))]


def test_pieces_above_one_another_are_one_digit() -> None:
    ink = np.zeros((200, 300), dtype=np.uint8)
    ink[40:48, 60:110] = 255  # the bar of a five, drawn on its own
    ink[60:150, 60:70] = 255
    ink[60:68, 60:110] = 255
    ink[40:150, 200:210] = 255  # a one
    assert _grouped(ink) == [(40, 60, 150, 110), (40, 200, 150, 210)]


def test_two_lines_are_read_one_after_the_other() -> None:
    ink = np.zeros((200, 200), dtype=np.uint8)
    ink[10:60, 120:130] = 255
    ink[12:62, 20:50] = 255
    ink[120:180, 30:36] = 255
    assert [right - left for _, left, _, right in _grouped(ink)] == [30, 10, 6]


def test_boxes_are_those_of_the_ink_at_the_edge_too() -> None:
    ink = np.zeros((60, 80), dtype=np.uint8)
    ink[0:40, 0:12] = 255
    ink[10:60, 70:80] = 255
    assert set(find_pieces(ink).boxes) == {(0, 0, 40, 12), (10, 70, 60, 80)}


def test_a_page_of_digits_is_counted_and_refused() -> None:
    sheet = np.full((900, 900), 240, np.uint8)
    for row in range(5):
        for column in range(6):
            drawn = np.asarray(draw_digit("5", Hand(pen=14, height=160)).ink)[::2, ::2] > 127
            sheet[row * 170 + 20 : row * 170 + 160, column * 145 + 10 : column * 145 + 150][drawn] = 30
    with pytest.raises(
        InputError, match=f"my.png has 30 separate pieces, more than {MAX_DIGITS}: crop it to the digits"
    ):
        find_digits(sheet, name="my.png")


def _specks(side: int, step: int, size: int) -> np.ndarray:
    sheet = np.full((side, side), 255, np.uint8)
    for row in range(size):
        for column in range(size):
            sheet[row::step, column::step] = 0
    return sheet


@pytest.mark.parametrize(("side", "step", "size"), [(280, 8, 1), (1280, 6, 3), (1280, 9, 4), (2048, 4, 1), (700, 5, 2)])
def test_thousands_of_specks_are_counted_before_anything_is_joined(side: int, step: int, size: int) -> None:
    sheet = _specks(side, step, size)
    assert len(find_pieces(255 - sheet).boxes) <= MAX_LABELLED
    data = file_of(sheet)
    assert len(data) < 10_000
    try:
        found = find_digits(read_colours(data), name="specks.png")
    except InputError as error:
        assert "separate pieces" in str(error)
    else:
        assert len(found.digits) <= MAX_DIGITS


def test_the_limit_on_joined_pieces_is_small() -> None:
    assert MAX_DIGITS <= MAX_PIECES <= 200  # joining looks at each pair


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (3, 5_000), (1, 1), (2, 2)])
def test_noise_of_any_shape_has_no_digits(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    assert find_digits(read_colours(file_of(noise))).digits == ()


def test_a_large_picture_is_reduced_to_the_working_size() -> None:
    assert max(find_digits(np.full((3000, 4000), 200, np.uint8)).size) <= WORK_SIDE


def test_a_digit_that_crosses_lines_keeps_its_strokes() -> None:
    sheet = np.full((400, 500), 240.0)
    drawn = np.asarray(draw_digit("5", Hand(pen=12, height=200)).ink) / 255.0
    sheet[60:340, 110:390] += (40 - 240) * drawn
    ruled = sheet.copy()
    for at in range(20, 400, 26):
        ruled[at : at + 2] = np.minimum(ruled[at : at + 2], 60)
    recipe = RECIPES["mnist"]
    (plain,), (crossed,) = find_digits(sheet).digits, find_digits(ruled).digits
    assert _alike(normalise(plain, recipe=recipe), normalise(crossed, recipe=recipe)) > 0.95


def test_the_edges_of_a_wide_picture_depend_on_its_width_and_height() -> None:
    assert not touches_edge((20, 150, 60, 180), (100, 400))
    assert touches_edge((20, 350, 60, 399), (100, 400))
    assert touches_edge((20, 150, 99, 180), (100, 400))
    assert not touches_edge((20, 350, 60, 397), (100, 400))


def test_digits_far_above_one_another_stay_two() -> None:
    ink = np.zeros((300, 100), dtype=np.uint8)
    ink[20:80, 40:50] = 255
    ink[220:280, 40:50] = 255
    assert _grouped(ink) == [(20, 40, 80, 50), (220, 40, 280, 50)]


def test_a_line_that_rises_is_read_from_left_to_right() -> None:
    ink = np.zeros((120, 200), dtype=np.uint8)
    for place, left in enumerate((20, 80, 140)):
        ink[40 - 10 * place : 100 - 10 * place, left : left + 8 + place] = 255
    assert [left for _, left, _, _ in _grouped(ink)] == [20, 80, 140]


@pytest.mark.parametrize(
    ("areas", "left"), [((1_000, 19, 20, 3), [0, 2]), ((10, 3, 4), [0, 2]), ((100_000, 1_999, 2_000), [0, 2])]
)
def test_dust_is_less_than_a_fiftieth_of_the_largest_piece_or_less_than_four_pixels(
    areas: tuple[int, ...], left: list[int]
) -> None:
    pieces = Pieces(np.zeros((1, 1), np.int32), tuple((0, 0, 1, 1) for _ in areas), areas)
    assert without_dust(pieces, list(range(len(areas)))) == left
    assert without_dust(pieces, []) == []


@pytest.mark.parametrize("wide", [3, 4, 9])
def test_pieces_are_sorted_by_size_with_boxes_that_fit_their_ink(wide: int) -> None:
    mask = np.zeros((60, 80), np.uint8)
    places = [(0, 0, 20, wide), (30, 20, 55, 20 + wide), (10, 60, 60, 60 + wide)]
    for top, left, bottom, right in places:
        mask[top:bottom, left:right] = 255
    pieces = find_pieces(mask)
    np.testing.assert_array_equal(pieces.labels > 0, mask > 0)
    assert list(pieces.boxes) == [places[2], places[1], places[0]]
    assert list(pieces.areas) == [50 * wide, 25 * wide, 20 * wide]
    for number, (top, left, bottom, right) in enumerate(pieces.boxes):
        assert pieces.mask([number])[top:bottom, left:right].all()
        assert pieces.mask([number]).sum() == pieces.areas[number]
    assert pieces.mask([0, 2]).sum() == pieces.areas[0] + pieces.areas[2]


@pytest.mark.parametrize("rise", [8, -8])
def test_a_line_may_rise_or_fall_by_more_than_its_height_if_neighbours_are_side_by_side(rise: int) -> None:
    ink = np.zeros((90, 140), np.uint8)
    line = [(30 - rise * n, 30 * n + 2, 50 - rise * n, 30 * n + 12) for n in range(4)]
    for top, left, bottom, right in line:
        ink[top:bottom, left:right] = 255
    assert _grouped(ink) == line


def test_a_digit_is_cut_out_on_a_square_with_a_margin_of_a_fifth_of_its_side() -> None:
    for digit in find_digits(_sheet("71")).digits:
        inked = np.argwhere(digit.ink > 0)
        (top, left), (bottom, right) = inked.min(axis=0), inked.max(axis=0) + 1
        side = max(bottom - top, right - left)
        assert digit.ink.shape[0] == digit.ink.shape[1]
        margins = (top, left, digit.ink.shape[0] - bottom, digit.ink.shape[1] - right)
        assert min(margins) >= side // 5 - 2


def _strokes(leans: Sequence[float], *, thick: int = 7, length: float = 150) -> np.ndarray:
    """Return a photo of straight strokes side by side, away from the edges. leans: degrees to the left."""
    sheet = np.full((420, 120 * len(leans) + 240), 238, np.uint8)
    for index, lean in enumerate(leans):
        across, down = length / 2 * math.sin(math.radians(lean)), length / 2 * math.cos(math.radians(lean))
        x, y = 180 + 120 * index, 210
        ends = ((round(x - across), round(y - down)), (round(x + across), round(y + down)))
        cv2.line(sheet, *ends, 40, thick, cv2.LINE_AA)
    return sheet


@pytest.mark.parametrize("lean", [25, 45, 60, -25, -45, -60])
@pytest.mark.parametrize("count", [3, 5])
def test_strokes_with_the_same_lean_are_ruled_lines_and_not_ones(count: int, lean: float) -> None:
    found = find_digits(_strokes([lean] * count), name="my.png")
    assert found.digits == ()
    assert found.reason.startswith("There is no digit in my.png")


@pytest.mark.parametrize(
    "leans", [(0, 0, 0), (10, 10, 10), (-15, -15, -15, -15), (30, 30), (24, 29, 34), (-24, -29, -36), (30, -30, 30)]
)
def test_ones_that_are_upright_or_lean_as_in_handwriting_stay_digits(leans: tuple[float, ...]) -> None:
    assert len(find_digits(_strokes(leans)).digits) == len(leans)


@pytest.mark.parametrize(("left", "count"), [(300, 2), (570, 2), (586, 1)])
def test_ink_that_runs_off_the_picture_is_not_a_digit(left: int, count: int) -> None:
    photo = np.full((300, 600), 220, np.uint8)
    for at in (100, left):
        photo[90:210, at : at + 14] = 30
    assert len(find_digits(photo, name="ones.png").digits) == count


def _row(text: str, *, wide: int = 230) -> np.ndarray:
    """Return digits side by side, float64 (280, `wide` for each), 1 for ink."""
    row = np.zeros((280, wide * len(text) + 60))
    for index, digit in enumerate(text):
        part = row[:, wide * index : wide * index + 280]
        part += draw_digit(digit, Hand(pen=14, height=150)).ink[:, : part.shape[1]] / 255.0
    return row


def _on_paper(ink: np.ndarray) -> np.ndarray:
    sheet = 235 - 190 * np.clip(cv2.GaussianBlur(ink, (0, 0), 0.8), 0, 1)
    return np.asarray(sheet + np.random.default_rng(0).normal(0, 3, ink.shape)).clip(0, 255).astype(np.uint8)


def _circle(ink: np.ndarray, *, open_by: float) -> None:
    cv2.ellipse(ink, (140, 140), (130, 115), 20, open_by, 360, 1.0, 6)


def _diamond(ink: np.ndarray, *, open_by: float) -> None:
    corners = np.array([(140, 4), (276, 140), (140, 276), (4, 140)])
    cv2.polylines(ink, [corners], open_by == 0, 1.0, 6)


@pytest.mark.parametrize("open_by", [0, 50])
@pytest.mark.parametrize("around", [_circle, _diamond])
@pytest.mark.parametrize("digit", ["0", "5", "9"])
def test_a_shape_drawn_around_a_digit_is_left_out(digit: str, around: Callable[..., None], open_by: float) -> None:
    ink = np.pad(_row(digit)[:, :280], 30)
    around(ink[30:-30, 30:-30], open_by=open_by)
    (found,) = find_digits(_on_paper(ink)).digits
    drawn = normalise(draw_digit(digit, Hand(pen=14, height=150)), recipe=RECIPES["mnist"])
    assert _alike(normalise(found, recipe=RECIPES["mnist"]), drawn) > 0.9


def test_a_character_drawn_around_its_own_parts_stays_whole_without_splitting() -> None:
    ink = np.pad(_row("1")[:, :280], 30)
    _circle(ink[30:-30, 30:-30], open_by=0)
    ((top, left, bottom, right),) = find_digits(_on_paper(ink), split=False).boxes
    assert min(bottom - top, right - left) > 220


@pytest.mark.parametrize("thick", [2, 6])
def test_a_table_gives_the_digits_of_its_fields_row_by_row(thick: int) -> None:
    ink = np.concatenate([_row("417")[35:245], _row("820")[35:245]])
    ink = np.pad(ink, 40)
    for row in range(3):
        cv2.line(ink, (40, 40 + 210 * row), (790, 40 + 210 * row), 0.8, thick)
    for column in (0, 255, 485, 750):
        cv2.line(ink, (40 + column, 40), (40 + column, 460), 0.8, thick)
    found = find_digits(_on_paper(ink))
    assert len(found.digits) == 6
    for digit, shown in zip(found.digits, "417820", strict=True):
        drawn = normalise(draw_digit(shown, Hand(pen=14, height=150)), recipe=RECIPES["mnist"])
        assert _alike(normalise(digit, recipe=RECIPES["mnist"]), drawn) > 0.9


def test_a_bold_bar_at_the_edge_is_not_a_digit_and_the_reason_gives_advice() -> None:
    photo = np.full((400, 500), 230, np.uint8)
    photo[60:340, :45] = 40
    found = find_digits(photo, name="one.png")
    assert found.digits == ()
    assert found.reason.endswith("a digit needs paper on all sides.")


@pytest.mark.parametrize("digit", ["0", "4"])
def test_a_digit_in_a_row_of_boxes_that_runs_off_the_picture_is_found_alone(digit: str) -> None:
    ink = np.pad(_row(digit)[:, :280], ((160, 160), (110, 110)))
    for row in (170, 430):
        cv2.line(ink, (0, row + 4), (500, row - 4), 1.0, 5)
    for column in (120, 380):
        cv2.line(ink, (column, 170), (column, 430), 1.0, 5)
    ((top, left, bottom, right),) = find_digits(_on_paper(ink)).boxes
    assert max(bottom - top, right - left) < 200
