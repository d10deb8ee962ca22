"""The messages of both pads become the same ink, and invalid messages are refused."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lab.data.idx import read_idx
from lab.data.recipes import RECIPES
from lab.errors import InputError
from lab.sketch.normalise import normalise
from lab.sketch.render import Hand, draw_digit
from lab.sketch.saved import decode_ink, encode_ink, normalise_all, zip_idx, zip_pngs
from lab.sketch.sketch import (
    MAX_BRUSH,
    MAX_POINTS,
    MAX_SIDE,
    MAX_STROKES,
    MIN_BRUSH,
    Sketch,
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


def test_strokes_survive_the_round_trip_to_the_page() -> None:
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
def test_messages_that_no_pad_sends_are_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_strokes(text)


@given(st.text(max_size=200))
def test_any_text_gives_strokes_or_a_typed_error(text: str) -> None:
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


def _canvas(size: tuple[int, int], format: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB" if format == "JPEG" else "RGBA", size, "black").save(out, format=format)
    return out.getvalue()


@pytest.mark.parametrize("format", ["JPEG", "GIF", "TIFF", "WEBP"])
def test_a_canvas_must_be_a_png_even_if_pillow_reads_the_format(format: str) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        sketch_from_png(_canvas((8, 8), format))


def test_a_canvas_above_the_size_limit_is_refused() -> None:
    assert sketch_from_png(_canvas((3, MAX_SIDE), "PNG")).ink.shape == (MAX_SIDE, 3)
    with pytest.raises(InputError, match=f"larger than {MAX_SIDE} pixels"):
        sketch_from_png(_canvas((MAX_SIDE + 1, 3), "PNG"))


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


@pytest.mark.parametrize(
    ("shape", "saved"), [((40, 40), (40, 40)), ((30, 70), (30, 70)), ((280, 280), (280, 280)), ((300, 600), (140, 280))]
)
def test_a_saved_drawing_keeps_its_shape_and_only_a_large_one_is_reduced(
    shape: tuple[int, int], saved: tuple[int, int]
) -> None:
    ink = np.zeros(shape, np.uint8)
    ink[: shape[0] // 2] = 255
    again = decode_ink(encode_ink(Sketch(ink, "photo")))
    assert again.ink.shape == saved
    assert (again.ink[: saved[0] // 2 - 2] == 255).all()
    assert not again.ink[saved[0] // 2 + 2 :].any()


def test_the_limits_of_strokes_and_points_hold_for_all_strokes_together() -> None:
    def text(points: list[int]) -> str:
        return json.dumps([[8, *[1, 1] * count] for count in points], separators=(",", ":"))

    assert len(parse_strokes(text([1] * MAX_STROKES))) == MAX_STROKES
    assert len(parse_strokes(text([MAX_POINTS // 2] * 2))) == 2
    for wrong in ([1] * (MAX_STROKES + 1), [MAX_POINTS // 2, MAX_POINTS // 2 + 1]):
        with pytest.raises(InputError, match="at most 400 strokes and 20,000 points"):
            parse_strokes(text(wrong))
    for width in (MIN_BRUSH, MAX_BRUSH):
        assert parse_strokes(f"[[{width},1,1]]")[0].width == width


def test_downloads_have_each_drawing_under_its_label_or_mnists_two_files(tmp_path: Path) -> None:
    drawings, labels = [draw_digit("3"), draw_digit("8"), draw_digit("1")], [3, 8, 1]
    pngs = [
        (f"id{n}", label, encode_ink(d)) for n, (d, label) in enumerate(zip(drawings, ("3", "a/b", ""), strict=True))
    ]
    with zipfile.ZipFile(io.BytesIO(zip_pngs(pngs))) as archive:
        assert archive.namelist() == ["3/id0.png", "a-b/id1.png", "none/id2.png"]
        assert [archive.read(name) for name in archive.namelist()] == [png for _, _, png in pngs]
    recipe = RECIPES["mnist"]
    with zipfile.ZipFile(io.BytesIO(zip_idx(drawings, labels, recipe=recipe))) as archive:
        archive.extractall(tmp_path)
    images = read_idx(tmp_path / "sketches-images-idx3-ubyte", dims=3, dtype="uint8")
    assert read_idx(tmp_path / "sketches-labels-idx1-ubyte", dims=1, dtype="uint8").tolist() == labels
    np.testing.assert_array_equal(images, np.stack([normalise(drawing, recipe=recipe) for drawing in drawings]))
    assert normalise_all([], recipe=recipe).shape == (0, 28, 28)


@pytest.mark.parametrize("size", [(MAX_SIDE + 1, 3), (3, MAX_SIDE + 1)])
def test_a_saved_drawing_above_the_size_limit_in_either_direction_is_refused(size: tuple[int, int]) -> None:
    out = io.BytesIO()
    Image.new("L", size).save(out, format="PNG")
    with pytest.raises(InputError, match=f"larger than {MAX_SIDE} pixels"):
        decode_ink(out.getvalue())
    out = io.BytesIO()
    Image.new("L", (MAX_SIDE, 3)).save(out, format="PNG")
    assert decode_ink(out.getvalue()).ink.shape == (3, MAX_SIDE)


def test_a_zip_of_drawings_is_not_transposed_and_keeps_labels_with_their_drawings() -> None:
    """EMNIST's files have rows and columns exchanged; these must not."""
    horizontal, vertical = np.zeros((60, 60), np.uint8), np.zeros((60, 60), np.uint8)
    horizontal[28:32, 10:50] = vertical[10:50, 28:32] = 255
    packed = zipfile.ZipFile(
        io.BytesIO(zip_idx([Sketch(horizontal, "a"), Sketch(vertical, "b")], [7, 1], recipe=RECIPES["mnist"]))
    )
    images = np.frombuffer(packed.read("sketches-images-idx3-ubyte")[16:], np.uint8).reshape(2, 28, 28)
    labels = np.frombuffer(packed.read("sketches-labels-idx1-ubyte")[8:], np.uint8)
    assert labels.tolist() == [7, 1]
    wide = [tuple(np.ptp(np.argwhere(image > 128), axis=0) + 1) for image in images]
    assert wide[0][1] > 3 * wide[0][0]
    assert wide[1][0] > 3 * wide[1][1]
