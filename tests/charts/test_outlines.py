"""The small picture of a network: slabs inside it, in the order of the layers, with sizes that show the layers'."""

import xml.etree.ElementTree as ElementTree

import pytest

from lab.architectures.outline import Outline, OutlineStage, outline_of
from lab.architectures.registry import list_architectures
from lab.charts.outlines import HEIGHT, WIDTH, outline_slabs, outline_svg


@pytest.mark.parametrize("arch", [arch.id for arch in list_architectures()])
def test_every_network_fits_into_its_picture(arch: str) -> None:
    outline = outline_of(arch)
    assert outline is not None
    slabs = outline_slabs(outline)
    assert [slab.family for slab in slabs] == [stage.family for stage in outline.stages]
    assert [slab.x for slab in slabs] == sorted(slab.x for slab in slabs)
    for slab in slabs:
        assert slab.x >= 0
        assert slab.x + slab.w + 0.6 * slab.deep <= WIDTH + 1e-6
        assert slab.y - 0.6 * slab.deep >= 0
        assert slab.y + slab.h <= HEIGHT
    root = ElementTree.fromstring(outline_svg(outline))
    assert len(list(root.iter("{http://www.w3.org/2000/svg}polygon"))) == 3 * len(slabs)


def test_more_channels_are_thicker_and_larger_maps_taller() -> None:
    stages = (
        OutlineStage("input", 1, 28),
        OutlineStage("convolution", 8, 28),
        OutlineStage("convolution", 32, 14),
        OutlineStage("linear", 100, 1),
        OutlineStage("linear", 10, 1),
    )
    image, wide, deep, hidden, answer = outline_slabs(Outline(1, 4, stages))
    assert image.w < wide.w < deep.w
    assert image.h == wide.h > deep.h
    assert hidden.h > answer.h


def test_lenet5_has_its_known_outline_and_an_unknown_network_has_none() -> None:
    lenet = outline_of("lenet5")
    assert lenet is not None
    assert (lenet.params, lenet.layers) == (61_706, 5)
    assert lenet.stages[3] == OutlineStage("convolution", 16, 10)
    assert outline_of("of tomorrow") is None


def test_a_slab_is_a_front_with_a_lid_and_a_face_behind_it() -> None:
    """One layer is 11 pixels thick and 30 tall, and 0.42 × 30 deep; 0.6 of that are drawn to the right and upwards."""
    (slab,) = outline_slabs(Outline(1, 1, (OutlineStage("linear", 8, 28),)))
    assert tuple(slab) == ("linear", pytest.approx(63.2), pytest.approx(16.3), 11.0, 30.0, pytest.approx(12.6))
    root = ElementTree.fromstring(outline_svg(Outline(1, 1, (OutlineStage("linear", 8, 28),))))
    drawn = [part.attrib for part in root.iter("{http://www.w3.org/2000/svg}polygon")]
    assert [part["points"] for part in drawn] == [
        "63.2,16.3 70.8,8.7 81.8,8.7 74.2,16.3",
        "74.2,16.3 81.8,8.7 81.8,38.7 74.2,46.3",
        "63.2,16.3 74.2,16.3 74.2,46.3 63.2,46.3",
    ]
    assert [(part["fill"], part["fill-opacity"]) for part in drawn] == [
        ("#1f9e77", share) for share in ("0.6", "0.8", "1.0")
    ]


def test_sizes_are_roots_between_the_lowest_and_the_highest() -> None:
    """A quarter of the channels is half of the way in thickness, a quarter of the side half of the way in height."""
    stages = (
        OutlineStage("convolution", 4, 28),
        OutlineStage("convolution", 16, 7),
        OutlineStage("linear", 25, 1),
        OutlineStage("linear", 100, 1),
    )
    wide, deep, hidden, answer = outline_slabs(Outline(1, 4, stages))
    assert (wide.w, deep.w, hidden.w) == (6.75, 11.0, 4.0)
    assert (wide.h, deep.h, hidden.h, answer.h) == (30.0, 18.5, 18.5, 30.0)
    assert (deep.deep, hidden.deep) == (pytest.approx(0.42 * 18.5), 3.0)
    assert deep.x - wide.x - wide.w == pytest.approx(9.0)  # the widest gap, as there is room
    left, right = wide.x, WIDTH - (answer.x + answer.w + wide.deep)
    assert left == pytest.approx(right)
