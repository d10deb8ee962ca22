"""The small picture of a network: every slab inside it, in the order of the layers, as large as what it stands for."""

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


def test_known_sizes() -> None:
    lenet = outline_of("lenet5")
    assert lenet is not None
    assert (lenet.params, lenet.layers) == (61_706, 5)
    assert lenet.stages[3] == OutlineStage("convolution", 16, 10)
    assert outline_of("of tomorrow") is None
