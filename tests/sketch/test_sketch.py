"""Both pads' messages become the same ink, and no message can do harm."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lab.errors import InputError
from lab.sketch.render import Hand, draw_digit
from lab.sketch.saved import decode_ink, encode_ink
from lab.sketch.sketch import (
    MAX_STROKES,
    Stroke,
    dump_strokes,
    parse_strokes,
    sketch_from_png,
    sketch_from_strokes,
)


def test_a_stroke_has_the_area_of_its_pen() -> None:
    ink = sketch_from_strokes([Stroke(((40.0, 140.0), (240.0, 140.0)), 20.0)]).ink
    area = ink.sum() / 255
    assert area == pytest.approx(200 * 20 + np.pi * 10**2, rel=0.03)


def test_a_touch_without_movement_is_a_round_dot() -> None:
    ink = sketch_from_strokes([Stroke(((140.0, 140.0),), 30.0)]).ink
    assert ink.sum() / 255 == pytest.approx(np.pi * 15**2, rel=0.05)


def test_points_outside_the_canvas_are_cut_off_and_nothing_else() -> None:
    ink = sketch_from_strokes([Stroke(((-50.0, 140.0), (140.0, 140.0)), 10.0)]).ink
    assert ink[140, 0] == 255
    assert ink[140, 160] == 0


def test_strokes_survive_the_way_to_the_page_and_back() -> None:
    strokes = draw_digit("5", Hand(pen=12.0)).strokes
    again = parse_strokes(dump_strokes(strokes))
    assert [stroke.width for stroke in again] == [12.0]
    assert np.allclose(again[0].points, strokes[0].points, atol=0.06)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "at most 400 strokes"),
        ("[[16]]", "a stroke is a width and pairs"),
        ("[[16,1,2,3]]", "a stroke is a width and pairs"),
        ('[["x",1,2]]', "could not convert"),
        ("[[16,1,NaN]]", "far outside the canvas"),
        ("[[16,1,1e9]]", "far outside the canvas"),
        ("[[0,1,1]]", "pen's width is not between"),
        ("[[16,1,1]", "cannot be read"),
        ("[" * 50_000, "cannot be read"),
        (json.dumps([[16, 1, 1]] * (MAX_STROKES + 1)), "at most 400 strokes"),
        ("[" + " " * 400_000 + "]", "more than a pad sends"),
    ],
)
def test_what_no_pad_sends_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_strokes(text)


@given(st.text(max_size=200))
def test_any_text_is_strokes_or_a_typed_error(text: str) -> None:
    try:
        assert isinstance(parse_strokes(text), tuple)
    except InputError as error:
        assert "drawing" in str(error)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (47, 134, 207)])
def test_the_colour_of_a_stroke_does_not_matter(colour: tuple[int, int, int]) -> None:
    ink = draw_digit("2").ink
    canvas = np.zeros((280, 280, 4), dtype=np.uint8)
    canvas[..., :3] = colour
    canvas[..., 3] = ink
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, format="PNG")
    np.testing.assert_array_equal(sketch_from_png(out.getvalue()).ink, ink)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n broken", b"GIF89a"])
def test_a_broken_canvas_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        sketch_from_png(data)
    with pytest.raises(InputError, match="cannot be read"):
        decode_ink(data)


def test_a_saved_drawing_is_the_ink_that_was_drawn() -> None:
    sketch = draw_digit("9")
    np.testing.assert_array_equal(decode_ink(encode_ink(sketch)).ink, sketch.ink)
    assert len(encode_ink(sketch)) < 10_000
