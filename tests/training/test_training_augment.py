"""Augmentation is reproducible, changes only what it should, and by the configured amount, on known pictures."""

import math

import pytest
import torch
from torch import Tensor

from lab.config import AUGMENTS
from lab.errors import ConfigError
from lab.training.augment import RECIPES, AugmentRecipe, augment_batch, build_augment


@pytest.fixture
def squares() -> Tensor:
    """256 copies of a white 10×10 square in the centre."""
    x = torch.zeros(256, 1, 28, 28)
    x[:, :, 9:19, 9:19] = 1.0
    return x


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _centres(x: Tensor) -> Tensor:
    """Return the centre of mass of each picture: (B, 2) as (row, column)."""
    positions = torch.arange(28.0)
    ink = x.sum((1, 2, 3))
    return torch.stack(((x.sum((1, 3)) @ positions) / ink, (x.sum((1, 2)) @ positions) / ink), dim=1)


@pytest.mark.parametrize("name", [name for name in AUGMENTS if name != "none"])
def test_a_preset_depends_on_the_generator_alone_and_stays_in_range(squares: Tensor, name: str) -> None:
    augment = build_augment(name)
    assert augment is not None
    before = squares.clone()
    first, again, other = (augment(squares, _generator(seed)) for seed in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)
    assert first.shape == squares.shape
    assert first.dtype == squares.dtype
    assert 0 <= first.min() <= first.max() <= 1
    torch.testing.assert_close(squares, before, rtol=0, atol=0)
    assert len({tuple(picture.flatten().tolist()) for picture in first[:20]}) == 20


def test_none_gives_no_function_and_unknown_names_are_refused() -> None:
    assert build_augment("none") is None
    with pytest.raises(ConfigError, match="Did you mean 'sketch'"):
        build_augment("scetch")


def test_a_recipe_with_zero_amounts_changes_nothing(squares: Tensor) -> None:
    torch.testing.assert_close(augment_batch(squares, _generator(), recipe=AugmentRecipe()), squares)


def test_shift_moves_the_centre_by_at_most_its_pixels_in_both_directions(squares: Tensor) -> None:
    moved = _centres(augment_batch(squares, _generator(), recipe=AugmentRecipe(shift_px=3.0))) - 13.5
    assert moved.abs().max() <= 3.01
    assert moved.min() < -2.5
    assert moved.max() > 2.5


def test_scale_changes_the_area_by_its_square_and_not_the_centre(squares: Tensor) -> None:
    scaled = augment_batch(squares, _generator(), recipe=AugmentRecipe(scale=(0.5, 0.5)))
    torch.testing.assert_close(scaled.sum((1, 2, 3)), torch.full((256,), 25.0), rtol=0.06, atol=0)
    torch.testing.assert_close(_centres(scaled), torch.full((256, 2), 13.5), rtol=0, atol=0.01)


def test_stretch_changes_the_width_by_its_fraction_and_not_the_height(squares: Tensor) -> None:
    stretched = augment_batch(squares, _generator(), recipe=AugmentRecipe(stretch=0.3))
    wide, tall = stretched[:, 0, 13].sum(1), stretched[:, 0, :, 13].sum(1)
    torch.testing.assert_close(tall, torch.full((256,), 10.0), rtol=0, atol=0.01)
    assert (wide.min(), wide.max()) == (pytest.approx(7.0, abs=0.3), pytest.approx(13.0, abs=0.3))
    torch.testing.assert_close(_centres(stretched), torch.full((256, 2), 13.5), rtol=0, atol=0.01)


def test_a_rotation_preserves_ink_and_centre(squares: Tensor) -> None:
    rotated = augment_batch(squares, _generator(), recipe=AugmentRecipe(rotate_deg=30.0))
    torch.testing.assert_close(rotated.sum((1, 2, 3)), torch.full((256,), 100.0), rtol=0.03, atol=0)
    torch.testing.assert_close(_centres(rotated), torch.full((256, 2), 13.5), rtol=0, atol=0.05)
    assert (rotated - squares).abs().amax((1, 2, 3)).max() > 0.5


def test_shear_slants_a_vertical_line_by_its_tangent() -> None:
    x = torch.zeros(64, 1, 28, 28)
    x[:, :, 4:24, 14] = 1.0
    slanted = augment_batch(x, _generator(), recipe=AugmentRecipe(shear=0.4))
    positions = torch.arange(28.0)
    top = (slanted[:, 0, 6] @ positions) / slanted[:, 0, 6].sum(1)
    bottom = (slanted[:, 0, 21] @ positions) / slanted[:, 0, 21].sum(1)
    slant = (top - bottom).abs() / 15
    assert slant.max() <= 0.41
    assert slant.max() > 0.35


def test_pen_widens_and_thins_strokes_by_its_width() -> None:
    x = torch.zeros(64, 1, 28, 28)
    x[:, :, 4:24, 12:16] = 1.0  # a stroke 4 pixels wide
    for steps, width in ((2.0, 6.0), (-1.0, 3.0), (-2.0, 2.0)):
        drawn = augment_batch(x, _generator(), recipe=AugmentRecipe(pen=(steps, steps)))
        torch.testing.assert_close(drawn[:, 0, 14].sum(1), torch.full((64,), width), rtol=0, atol=0.26)


def test_thinning_never_removes_a_stroke() -> None:
    x = torch.zeros(8, 1, 28, 28)
    x[:, :, 4:24, 14] = 1.0  # one pixel wide
    drawn = augment_batch(x, _generator(), recipe=AugmentRecipe(pen=(-2.0, -2.0)))
    assert (drawn.sum((1, 2, 3)) >= 0.35 * 20).all()


def test_elastic_displacements_have_the_configured_size(squares: Tensor) -> None:
    bent = augment_batch(squares, _generator(), recipe=AugmentRecipe(elastic_px=1.0))
    moved = (_centres(bent) - 13.5).abs()
    assert 0.2 < moved.mean() < 1.2
    assert (bent.sum((1, 2, 3)) - 100).abs().mean() < 25


def test_erasing_blanks_a_rectangle_in_its_fraction_of_the_pictures() -> None:
    x = torch.ones(2000, 1, 28, 28)
    missing = 784 - augment_batch(x, _generator(), recipe=AugmentRecipe(erase=0.25)).sum((1, 2, 3))
    assert 0.2 < (missing > 0).float().mean() < 0.3
    assert missing.max() <= 49
    assert missing[missing > 0].min() >= 4


def test_half_precision_batches_stay_half_precision(squares: Tensor) -> None:
    augment = build_augment("sketch")
    assert augment is not None
    assert augment(squares.bfloat16(), _generator()).dtype == torch.bfloat16


def _angles(x: Tensor) -> Tensor:
    """Return the direction of each picture's major axis from its second moments: degrees from vertical, -90 to 90."""
    positions = torch.arange(28.0) - 13.5
    ink = x.sum((1, 2, 3))
    rows, columns = positions[:, None], positions[None, :]
    xx, yy, xy = ((x[:, 0] * part).sum((1, 2)) / ink for part in (columns**2, rows**2, rows * columns))
    return torch.rad2deg(0.5 * torch.atan2(2 * xy, yy - xx))


@pytest.mark.parametrize("degrees", [10.0, 30.0])
def test_a_rotation_turns_by_at_most_its_angle_in_both_directions(degrees: float) -> None:
    bars = torch.zeros(256, 1, 28, 28)
    bars[:, :, 4:24, 12:16] = 1.0
    rotated = _angles(augment_batch(bars, _generator(), recipe=AugmentRecipe(rotate_deg=degrees)))
    assert rotated.abs().max() <= degrees + 0.5
    assert rotated.min() < -0.9 * degrees
    assert rotated.max() > 0.9 * degrees


@pytest.mark.parametrize("name", ["light", "sketch"])
def test_presets_rotate_by_their_documented_angle(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe is not None
    assert recipe.rotate_deg == {"light": 10.0, "sketch": 15.0}[name]


def test_shear_slants_by_at_most_its_tangent() -> None:
    bars = torch.zeros(256, 1, 28, 28)
    bars[:, :, 4:24, 12:16] = 1.0
    slanted = _angles(augment_batch(bars, _generator(), recipe=AugmentRecipe(shear=0.35)))
    limit = math.degrees(math.atan(0.35))
    assert slanted.abs().max() <= limit + 1.5
    assert slanted.abs().max() > 0.8 * limit


def test_gain_never_darkens_and_reaches_its_factor(squares: Tensor) -> None:
    grey = squares * 0.25
    brightened = augment_batch(grey, _generator(), recipe=AugmentRecipe(gain=1.8))[:, 0, 14, 14] / 0.25
    assert brightened.min() >= 1.0
    assert brightened.max() <= 1.8 + 1e-5
    assert brightened.max() > 1.7


def test_erasing_affects_its_fraction_of_pictures_by_at_most_seven_pixels_per_side() -> None:
    x = torch.ones(2_000, 1, 28, 28)
    lost = (augment_batch(x, _generator(), recipe=AugmentRecipe(erase=0.1)) == 0).sum((1, 2, 3))
    holed = lost[lost > 0]
    assert 0.07 < len(holed) / len(x) < 0.13
    assert holed.min() >= 1
    assert holed.max() <= 49  # a rectangle of six pixels covers parts of at most seven pixels per side


def test_an_erased_rectangle_has_independent_sides_of_two_to_six_pixels_and_any_position() -> None:
    recipe = AugmentRecipe(erase=0.25)
    erased = augment_batch(torch.ones(4_000, 1, 28, 28), torch.Generator().manual_seed(1), recipe=recipe)[:, 0] == 0
    wide, tall = erased.any(1).sum(1), erased.any(2).sum(1)
    holes = erased.any(2).any(1)
    assert holes.float().mean() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(erased.sum((1, 2)), wide * tall)  # whole rectangles
    for sides in (wide[holes], tall[holes]):
        # 2 to 6, equally likely: the number of pixels that start inside varies by one with the position
        assert sorted(set(sides.tolist())) == [2, 3, 4, 5, 6]
        assert sides.float().mean() == pytest.approx(4.0, abs=0.15)
    assert 0.1 < (wide == tall)[holes].float().mean() < 0.4, "the sides have independent lengths"
    for positions in (erased.any(1).any(0), erased.any(2).any(0)):
        # A gap starts after the first pixel, and may end with the last.
        assert positions.tolist() == [False] + [True] * 27
