"""Where two digits that touch may be cut apart: both sides of each limit, on bars joined by a bridge."""

import numpy as np
import pytest

from lab.data.load import Dataset, load_dataset
from lab.sketch.reading import learn_network_rule
from lab.sketch.sketch import SEEN, Sketch
from lab.sketch.splitting import _choose, _half, find_cuts
from lab.sketch.touching import Looks, blurred_rows, least_cut, width_by_height
from tests.sketch.conftest import Loaded


def _joined(*, bridge: int, left: int = 56, right: int = 56, thick: int = 8) -> np.ndarray:
    """Return two bars from the top, bool (56, 40), joined by a bridge. left, right, bridge: their heights in rows."""
    ink = np.zeros((56, 40), bool)
    ink[:left, 6 : 6 + thick] = True
    ink[:right, 34 - thick : 34] = True
    ink[:bridge, 6:34] = True
    return ink


@pytest.mark.parametrize(("bridge", "found"), [(1, True), (24, True), (25, False)])
def test_a_cut_goes_through_at_most_three_strokes(bridge: int, found: bool) -> None:
    cuts = _choose(_joined(bridge=bridge))
    assert bool(cuts) is found
    for columns in cuts:
        assert len(columns) == 56
        assert np.count_nonzero(_joined(bridge=bridge)[np.arange(56), columns]) == bridge


@pytest.mark.parametrize(("rows", "found"), [(34, True), (33, False)])
def test_each_half_has_at_least_six_tenths_of_the_height(rows: int, found: bool) -> None:
    for ink in (_joined(bridge=2, left=rows), _joined(bridge=2, right=rows)):
        assert bool(_choose(ink)) is found


@pytest.mark.parametrize(("thick", "found"), [(4, True), (1, False)])
def test_each_half_has_at_least_an_eighth_of_the_ink(thick: int, found: bool) -> None:
    ink = np.zeros((56, 40), bool)
    ink[:, 6:18] = True
    ink[:, 34 - thick : 34] = True
    ink[:2, 6:34] = True
    assert bool(_choose(ink)) is found
    assert bool(_choose(ink[:, ::-1])) is found


def test_only_one_of_several_similar_cuts_and_at_most_five_cuts_are_tried() -> None:
    """Cuts that leave nearly the same halves count as one."""
    assert len(_choose(_joined(bridge=2))) == 1
    combs = np.zeros((56, 120), bool)
    for at in range(8, 112, 13):
        combs[:, at : at + 4] = True  # nine bars with a different cut in each gap
    combs[:2, 8:116] = True
    assert len(_choose(combs)) == 5
    assert _choose(np.ones((56, 12), bool)) == []  # too narrow for a cut between its margins


@pytest.mark.parametrize(("wide", "found"), [(44, False), (46, True), (260, True), (262, False)])
def test_a_drawing_of_two_digits_is_neither_narrow_nor_a_line(wide: int, found: bool) -> None:
    ink = np.zeros((120, 300), np.uint8)
    left = 10
    ink[10:110, left : left + 10] = 255
    ink[10:110, left + wide - 10 : left + wide] = 255
    ink[10:13, left : left + wide] = 255
    cuts = find_cuts(Sketch(ink, "photo"))
    assert bool(cuts) is found
    for before, after in cuts:
        assert (before.ink.shape, before.origin) == ((120, 300), "photo")
        assert before.ink[50, left + 2] == after.ink[50, left + wide - 2] == 255
        assert not (before.ink & after.ink).any()
        np.testing.assert_array_equal(before.ink | after.ink, ink)


def test_remains_of_the_other_digit_are_left_out_of_a_half() -> None:
    whole = Sketch(np.zeros((40, 60), np.uint8), "photo")
    crop = np.zeros((20, 30), np.uint8)
    crop[0:10, 0:10] = 200
    crop[12:14, 20:25] = 255  # a tenth of the largest
    crop[16:19, 20:23] = 255  # less than a tenth
    crop[0:10, 28] = SEEN - 1  # haze
    half = _half(whole, crop, (5, 7, 25, 37))
    wanted = np.zeros((40, 60), np.uint8)
    wanted[5:15, 7:17] = 200
    wanted[17:19, 27:32] = 255
    np.testing.assert_array_equal(half.ink, wanted)
    assert half.origin == "photo"
    assert not _half(whole, np.zeros((20, 30), np.uint8), (5, 7, 25, 37)).ink.any()


# -- a picture compared with those of its class ------------------------------------------------------------------------


def _bar(wide: int, tall: int = 20) -> np.ndarray:
    image = np.zeros((28, 28), np.uint8)
    image[4 : 4 + tall, 4 : 4 + wide] = 255
    return image


def test_the_width_of_ink_is_divided_by_its_height() -> None:
    assert (width_by_height(_bar(10)), width_by_height(_bar(20, 5)), width_by_height(0 * _bar(1))) == (0.5, 4.0, 0.0)
    assert width_by_height(np.where(_bar(10) > 0, 100, 0)) == 0.5
    assert width_by_height(np.where(_bar(10) > 0, 99, 0)) == 0.0


def test_a_picture_is_wide_beyond_85_percent_of_its_class_and_typical_from_its_limit_on() -> None:
    widths = np.append(np.arange(20) / 20, [9.0])
    classes = np.append(np.zeros(20, int), [1])
    looks = Looks(blurred_rows(np.stack([_bar(5)] * 21)), classes, 0.5, typical=1.0, widths=widths)
    assert looks._narrower(_bar(10), 0) == 10 / 20  # those below 0.5
    assert (looks.is_wide(_bar(17), 0), looks.is_wide(_bar(18), 0)) == (False, True)  # 17 and 18 of 20 are narrower
    assert not looks.is_wide(_bar(18), 7)
    assert looks._likeness(_bar(5), 0) == pytest.approx(1.0, abs=1e-6)
    assert looks._likeness(_bar(5), 7) == 1.0
    far = Looks(looks.bank, classes, 0.5, typical=0.9)
    assert (far.is_typical(_bar(5), 0), far.is_typical(np.flip(_bar(5)), 0)) == (True, False)
    assert far._narrower(_bar(20), 0) == 0.0  # no widths are known


@pytest.mark.parametrize(("neck", "cut"), [(2, 2.0), (5, 5.0), (8, 8.0)])
def test_the_least_cut_is_as_deep_as_the_neck(neck: int, cut: float) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 4:9] = image[4:24, 19:24] = image[8 : 8 + neck, 9:19] = 255
    assert least_cut(image) == pytest.approx(cut, abs=0.5)
    assert least_cut(np.where(image > 0, 100, 0).astype(np.uint8)) <= cut
    assert least_cut(np.where(image > 0, 90, 0).astype(np.uint8)) == np.inf


@pytest.mark.parametrize(("tall", "found"), [(15, True), (12, False)])
def test_both_parts_of_a_cut_have_at_least_seven_tenths_of_the_height(tall: int, found: bool) -> None:
    image = np.zeros((28, 28), np.uint8)
    image[4:24, 4:9] = image[4 : 4 + tall, 19:24] = image[5:7, 9:19] = 255
    assert bool(np.isfinite(least_cut(image))) is found
    assert bool(np.isfinite(least_cut(image[:, ::-1].copy()))) is found


# -- learning a network's limits ---------------------------------------------------------------------------------------


@pytest.fixture
def bars(tmp_path: object) -> Dataset:
    """The small digits, with their images replaced by two classes: bars on the left and bars on the right."""
    from dataclasses import replace

    left = np.stack([np.roll(_bar(3 + at % 4), 0, axis=1) for at in range(40)])
    both = np.concatenate([left, left[..., ::-1]])
    labels = np.repeat([0, 1], 40)
    return replace(
        load_dataset("digits", root=tmp_path),
        train_images=both,
        train_labels=labels,
        test_images=both[::4],
        test_labels=labels[::4],
    )


def test_a_networks_limits_come_from_comparing_its_test_pictures_with_training_pictures(
    halves: Loaded, bars: Dataset
) -> None:
    rule = learn_network_rule(halves, bars)
    assert rule.familiar is not None
    assert rule.looks is not None
    assert rule.familiar.bank.shape == (80, 784)
    assert np.linalg.norm(rule.familiar.bank, axis=1) == pytest.approx(1.0)
    assert rule.familiar.least == pytest.approx(1.0)  # each test picture is a training picture, too
    assert rule.familiar.strange == pytest.approx(1.0)
    assert rule.looks.least == pytest.approx(1.0)
    assert (rule.looks.bank.shape, rule.looks.classes.tolist()) == ((80, 784), bars.train_labels.tolist())
    fewer = learn_network_rule(halves, bars, count=10)
    assert fewer.familiar is not None
    assert fewer.looks is not None
    assert (len(fewer.familiar.bank), len(fewer.looks.bank)) == (20, 20)


def test_the_limits_of_familiarity_are_the_1st_and_20th_percentiles_of_test_pictures(
    halves: Loaded, bars: Dataset
) -> None:
    from dataclasses import replace

    tried = bars.test_images.copy()
    for at, image in enumerate(tried):
        image[:at, 10:18] = 200  # each is less like the training pictures than the one before
    rule = learn_network_rule(halves, replace(bars, test_images=tried))
    assert rule.familiar is not None
    flat = bars.train_images.reshape(80, -1) / 255
    known = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    shown = tried.reshape(20, -1) / 255
    cosines = np.sort((shown / np.linalg.norm(shown, axis=1, keepdims=True) @ known.T).max(axis=1))
    for found, share in ((rule.familiar.least, 0.01), (rule.familiar.strange, 0.2)):
        at = share * 19
        low, high = cosines[int(at)], cosines[int(at) + 1]
        assert found == pytest.approx(low + (at - int(at)) * (high - low), abs=1e-5)


def test_a_network_that_reads_nothing_correctly_learns_no_looks(halves: Loaded, bars: Dataset) -> None:
    from dataclasses import replace

    wrong = replace(bars, test_labels=1 - bars.test_labels)
    assert learn_network_rule(halves, wrong).looks is None
