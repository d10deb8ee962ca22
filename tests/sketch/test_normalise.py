"""Drawings are normalised as the data set's makers normalised theirs, wherever and however large they are drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.traced_digits import redraw_image
from lab.data.load import load_dataset
from lab.data.recipes import RECIPES, Recipe
from lab.sketch.normalise import (
    ALL_STEPS,
    STEPS,
    measure,
    normalise,
    normalise_steps,
    stroke_width,
)
from lab.sketch.render import POLYLINES, Hand, draw_digit
from lab.sketch.sketch import Sketch, Stroke, sketch_from_strokes

MNIST = RECIPES["mnist"]


def _square(side: int, *, top: int, left: int, canvas: int = 280) -> Sketch:
    ink = np.zeros((canvas, canvas), dtype=np.uint8)
    ink[top : top + side, left : left + side] = 255
    return Sketch(ink, "canvas")


def _mass(image: np.ndarray) -> tuple[float, float]:
    rows, columns = image.sum(axis=1), image.sum(axis=0)
    places = np.arange(28)
    return float(rows @ places / rows.sum()), float(columns @ places / columns.sum())


def _unlike(one: np.ndarray, two: np.ndarray) -> float:
    """Return the difference of two pictures as a share of their mean ink."""
    return float(np.abs(one.astype(float) - two).sum() / max(1.0, (one.astype(float) + two).sum() / 2))


@given(side=st.integers(60, 200), top=st.integers(0, 79), left=st.integers(0, 79))
@settings(max_examples=30)
def test_a_square_becomes_20_pixels_wide_with_its_centre_of_mass_at_pixel_14(side: int, top: int, left: int) -> None:
    image = normalise(_square(side, top=top, left=left), recipe=MNIST, steps=ALL_STEPS - {"pen"})
    assert _mass(image) == pytest.approx((14.0, 14.0), abs=0.05)
    assert image.astype(float).sum() / 255 == pytest.approx(400, rel=0.02)


@pytest.mark.parametrize("digit", POLYLINES)
@given(dx=st.integers(-60, 60), dy=st.integers(-40, 40))
@settings(max_examples=8)
def test_moving_a_drawing_changes_nothing(digit: str, dx: int, dy: int) -> None:
    still = normalise(draw_digit(digit, Hand(pen=10, height=150)), recipe=MNIST)
    moved = normalise(draw_digit(digit, Hand(pen=10, height=150, middle=(140.0 + dx, 140.0 + dy))), recipe=MNIST)
    assert _unlike(still, moved) < 0.02


@pytest.mark.parametrize("digit", POLYLINES)
@given(factor=st.floats(0.5, 1.5))
@settings(max_examples=8)
def test_scaling_a_drawing_with_its_pen_changes_almost_nothing(digit: str, factor: float) -> None:
    still = normalise(draw_digit(digit, Hand(pen=18, height=160)), recipe=MNIST)
    scaled = normalise(draw_digit(digit, Hand(pen=18 * factor, height=160 * factor)), recipe=MNIST)
    assert _unlike(still, scaled) < 0.15  # a small "7" is the worst: 0.136 at 0.57 of the size, half of them below 0.03


@pytest.mark.parametrize("digit", POLYLINES)
@pytest.mark.parametrize("pen", [2.0, 4.0, 10.0, 30.0])
def test_any_pen_gives_strokes_as_wide_as_those_of_the_data(digit: str, pen: float) -> None:
    image = normalise(draw_digit(digit, Hand(pen=pen, height=200)), recipe=MNIST)
    large = np.asarray(image).repeat(8, axis=0).repeat(8, axis=1)
    assert 1.3 < stroke_width(large) / 8 < 5.5
    assert image.max() > 200


def test_the_longer_side_sets_the_scale_and_the_aspect_ratio_is_preserved() -> None:
    ink = np.zeros((280, 280), dtype=np.uint8)
    ink[20:220, 100:150] = 255  # four times as tall as wide
    image = normalise(Sketch(ink, "canvas"), recipe=MNIST, steps=ALL_STEPS - {"pen"})
    ink = image / 255
    assert (ink.sum(axis=0).max(), ink.sum(axis=1).max()) == pytest.approx((20, 5), rel=0.01)


def test_switching_off_any_step_changes_the_picture() -> None:
    small = draw_digit("7", Hand(pen=4, height=90, middle=(70.0, 200.0)))
    full = normalise(small, recipe=MNIST)
    for step in STEPS:
        assert _unlike(full, normalise(small, recipe=MNIST, steps=ALL_STEPS - {step})) > 0.05, step
    raw = normalise(small, recipe=MNIST, steps=frozenset())
    row, column = _mass(raw)
    assert (row, column) == pytest.approx((200 / 10 - 0.5, 70 / 10 - 0.5), abs=3.0)


def test_the_pictures_of_the_steps_end_with_the_one_the_network_gets() -> None:
    sketch = draw_digit("3")
    pictures = normalise_steps(sketch, recipe=MNIST)
    assert [picture.step for picture in pictures] == ["ink", *STEPS]
    np.testing.assert_array_equal(pictures[-1].picture, normalise(sketch, recipe=MNIST))
    fewer = normalise_steps(sketch, recipe=MNIST, steps=frozenset({"scale", "centre"}))
    assert [picture.step for picture in fewer] == ["ink", "scale", "centre"]


@pytest.mark.parametrize("recipe", [MNIST, RECIPES["digits"], RECIPES["usps"]], ids=["mnist", "digits", "usps"])
@pytest.mark.parametrize(
    "steps", [ALL_STEPS, ALL_STEPS - {"crop"}, ALL_STEPS - {"pen"}], ids=["all", "no crop", "no pen"]
)
def test_the_picture_after_a_step_is_that_without_the_later_steps(recipe: Recipe, steps: frozenset[str]) -> None:
    sketch = draw_digit("2", Hand(pen=18, height=140, middle=(110, 120)))
    shown = {each.step: each.picture for each in normalise_steps(sketch, recipe=recipe, steps=steps)}
    for step, later in (("scale", {"smooth", "centre"}), ("smooth", {"centre"}), ("centre", set())):
        np.testing.assert_array_equal(shown[step], normalise(sketch, recipe=recipe, steps=steps - later))


def test_an_empty_drawing_gives_an_empty_picture_and_no_steps() -> None:
    blank = Sketch(np.zeros((280, 280), dtype=np.uint8), "canvas")
    assert blank.blank
    assert measure(blank) is None
    assert not normalise(blank, recipe=MNIST).any()
    assert normalise_steps(blank, recipe=MNIST) == ()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("ink", [1, 2, 280])
def test_a_dot_a_line_and_a_full_canvas_give_pictures_too(recipe: str, ink: int) -> None:
    sketch = _square(ink, top=0, left=280 - ink)
    for steps in (ALL_STEPS, frozenset()):
        image = normalise(sketch, recipe=RECIPES[recipe], steps=steps)
        assert (image.shape, image.dtype) == ((28, 28), np.uint8)
    line = sketch_from_strokes([Stroke(((140.0, 0.0), (140.0, 280.0)), 3.0)])
    assert normalise(line, recipe=RECIPES[recipe]).any()


@pytest.mark.parametrize(
    ("recipe", "thinnest", "thickest"),
    [("mnist", 2.0, 4.0), ("emnist", 2.5, 4.5), ("digits", 1.1, 2.0), ("usps", 1.6, 3.2)],
)
def test_thin_and_thick_pens_become_the_usual_ones_of_the_data_set(
    recipe: str, thinnest: float, thickest: float
) -> None:
    ring = ((80.0, 40.0), (200.0, 40.0), (200.0, 240.0), (80.0, 240.0), (80.0, 40.0))
    for pen, width in ((4.0, thinnest), (60.0, thickest)):
        image = normalise(sketch_from_strokes([Stroke(ring, pen)]), recipe=RECIPES[recipe]) / 255
        middle = len(image) // 2
        sides = image[middle - 2 : middle + 2].sum(axis=1).mean() * RECIPES[recipe].field / len(image)
        assert sides / 2 == pytest.approx(width, abs=0.3)  # a picture of 8 pixels has steps of a quarter


def test_stroke_width_is_that_of_the_pen() -> None:
    for width in (4.0, 10.0, 24.0):
        ink = sketch_from_strokes([Stroke(((40.0, 60.0), (240.0, 60.0)), width)]).ink
        assert stroke_width(ink) == pytest.approx(width, abs=1.0)  # half a pixel a side is drawn as a whole one


def test_digits_fill_their_field_from_top_to_bottom_like_the_built_in_data(tmp_path: object) -> None:
    image = normalise(draw_digit("4"), recipe=RECIPES["digits"])
    data = load_dataset("digits", root=tmp_path)
    assert image[:3].max() > 100
    assert image[-3:].max() > 100
    assert 0.5 < image.mean() / data.train_images.mean() < 2.0


@pytest.mark.mnist
def test_a_test_digit_of_mnist_stays_nearly_unchanged(mnist_root: object) -> None:
    """Normalising a picture that is already normalised only resamples it."""
    data = load_dataset("mnist", root=mnist_root)
    differences = []
    for image in data.test_images[:50]:
        large = np.kron(image, np.ones((10, 10), dtype=np.uint8))
        again = normalise(Sketch(large, "file"), recipe=MNIST, steps=ALL_STEPS - {"pen"})
        differences.append(_unlike(image, again))
    assert np.median(differences) < 0.3


@pytest.mark.mnist
def test_the_same_digit_drawn_with_another_pen_gives_a_similar_picture(mnist_root: object) -> None:
    data = load_dataset("mnist", root=mnist_root)
    same, other = [], []
    images = data.test_images[:20]
    again = [normalise(redraw_image(image, Hand(pen=18, height=180)), recipe=MNIST) for image in images]
    for index, image in enumerate(images):
        same.append(_unlike(image, again[index]))
        other.append(_unlike(image, again[index - 1]))
    assert np.median(same) < 0.6 * np.median(other)


@pytest.mark.parametrize(("pen", "wanted"), [(4, 2.0), (8, 2.0), (30, 2.61), (60, 4.0), (70, 4.0)])
def test_a_cross_has_the_ink_of_its_pen_or_of_the_nearest_pen_in_the_data(pen: int, wanted: float) -> None:
    bars = [Stroke(((140, 40), (140, 240)), pen), Stroke(((40, 140), (240, 140)), pen)]
    image = normalise(sketch_from_strokes(bars), recipe=MNIST)
    assert MNIST.pen[0] <= wanted <= MNIST.pen[1]
    assert image.sum() / 255 == pytest.approx(2 * MNIST.box * wanted - wanted**2, rel=0.06)  # two bars, one crossing


@pytest.mark.parametrize("slant", [-0.4, 0.3, 0.6])
@pytest.mark.parametrize("digit", "03568")
def test_slant_is_removed_as_in_the_small_digits(digit: str, slant: float) -> None:
    upright = normalise(draw_digit(digit, Hand(height=150)), recipe=RECIPES["digits"])
    slanted = normalise(draw_digit(digit, Hand(height=150, slant=slant)), recipe=RECIPES["digits"])
    assert _unlike(upright, slanted) < 0.25
    assert _unlike(
        *(normalise(draw_digit(digit, Hand(height=150, slant=each)), recipe=MNIST) for each in (0.0, slant))
    ) > _unlike(upright, slanted)


@pytest.mark.parametrize("wide", [60, 100, 150])
def test_a_block_fills_the_box_of_the_small_digits_whatever_its_width(wide: int) -> None:
    ink = np.zeros((280, 280), dtype=np.uint8)
    ink[60:220, 40 : 40 + wide] = 255
    image = normalise(Sketch(ink, "canvas"), recipe=RECIPES["digits"])
    assert (image >= 128).any(axis=1).sum() == 28
    assert (image >= 128).any(axis=0).sum() == pytest.approx(28 * 5 / 8, abs=2)


def test_a_flat_stroke_is_sheared_by_45_degrees_and_squeezed_by_two_and_a_half_only() -> None:
    """Its 226 × 47 pixels become 189 × 47 by the shear and 76 × 47 by the squeeze, far from the box of 5 by 8."""
    flat = sketch_from_strokes([Stroke(((30.0, 120.0), (250.0, 160.0)), 6.0)])
    image = normalise(flat, recipe=RECIPES["digits"])
    assert (image >= 128).any(axis=0).sum() == 28
    assert (image >= 128).any(axis=1).sum() == pytest.approx(28 * 47 / 76, abs=1)
