"""The positions of boxes and arrows, in pixels, for small graphs written out."""

import re

import pytest

from lab.architectures.outline import FAMILY_COLOURS
from lab.inspection.layout import Picture, draw
from lab.inspection.picture import Box


def _box(id: str, *inputs: str, **more: object) -> Box:
    fields = {"title": id, "detail": "", "family": "linear", "shape": (4,), "params": 0, "names": (id,), **more}
    return Box(id=id, inputs=inputs, **fields)  # type: ignore[arg-type]


def _corners(picture: Picture) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r'<rect x="(-?\d+)" y="(\d+)" width="264"', picture.svg)]


def _arrows(picture: Picture) -> list[str]:
    return re.findall(r'<path d="(M[^"]* C[^"]*)"', picture.svg)


def test_a_chain_runs_straight_down() -> None:
    picture = draw([_box("a"), _box("b", "a"), _box("c", "b")])
    assert (picture.width, picture.height) == (264 + 2 * 12, 3 * 46 + 2 * 26 + 2 * 12)
    assert f'viewBox="-144 0 {picture.width} {picture.height}"' in picture.svg
    assert _corners(picture) == [(-132, 12), (-132, 84), (-132, 156)]
    assert _arrows(picture) == ["M0 58 C0 71 0 71 0 84", "M0 130 C0 143 0 143 0 156"]
    assert '<path d="M-4 78 L0 84 L4 78"/>' in picture.svg  # the head of the first


def test_branches_lie_side_by_side_below_their_input() -> None:
    picture = draw([_box("a"), _box("b", "a"), _box("c", "a"), _box("d", "b", "c")])
    assert picture.width == 2 * 264 + 22 + 2 * 12
    assert _corners(picture) == [(-132, 12), (-275, 84), (11, 84), (-132, 156)]
    assert _arrows(picture) == [
        "M0 58 C0 71 -143 71 -143 84",
        "M0 58 C0 71 143 71 143 84",
        "M-143 130 C-143 143 0 143 0 156",
        "M143 130 C143 143 0 143 0 156",
    ]


def test_boxes_are_ordered_by_their_inputs_so_that_arrows_do_not_cross() -> None:
    picture = draw([_box("a"), _box("b", "a"), _box("c", "a"), _box("e", "c"), _box("d", "b"), _box("f", "e", "d")])
    names = re.findall(r'data-name="(\w)"', picture.svg)
    assert dict(zip(names, _corners(picture), strict=True)) == {
        "a": (-132, 12),
        "b": (-275, 84),
        "c": (11, 84),
        "d": (-275, 156),
        "e": (11, 156),
        "f": (-132, 228),
    }
    lone = draw([_box("a"), _box("b", "a"), _box("c", "a"), _box("d", "c")])
    assert _corners(lone)[3] == (11, 156)  # under its own branch, not in the middle


def test_a_shortcut_runs_next_to_the_box_that_it_passes() -> None:
    picture = draw([_box("a"), _box("b", "a"), _box("c", "b", "a")])
    assert _corners(picture) == [(-132, 12), (-212, 84), (-132, 156)]
    # The waypoint is 14 wide, so it and the box are 161 apart, around the middle; the line goes down next to the box.
    assert sorted(_arrows(picture)) == [
        "M-80 130 C-80 143 0 143 0 156",
        "M0 58 C0 71 -80 71 -80 84",
        "M0 58 C0 71 80 71 80 84 V130",
        "M80 130 C80 143 0 143 0 156",
    ]
    assert picture.svg.count("L") == 3 * 2  # heads: at b, and twice at c


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"shape": (6, 28, 28), "detail": "5×5", "params": 1_234}, "a, 6×28×28, 5×5, 1,234 params"),
        ({"shape": (6, 1, 1), "failed": True}, "a, does not fit: 6×1×1"),
        ({"shape": (6, 1, 1), "failed": True, "detail": "5×5"}, "a, 5×5, does not fit: 6×1×1"),
        # Beside the shape 4 there is room for 31 letters of a title (223.3 px), and for 41 of a detail (238 px).
        ({"title": "t" * 31, "detail": "d" * 41}, f"{'t' * 31}, 4, {'d' * 41}"),
        (
            {"title": "t" * 32, "detail": "d" * 42},
            f"{'t' * 30}… 4 {'d' * 40}…: {'t' * 32}, 4, {'d' * 42}",
        ),
    ],
)
def test_the_accessible_label_of_a_box_starts_with_its_visible_text(more: dict[str, object], label: str) -> None:
    assert f'aria-label="{label}"' in draw([_box("a", **more)]).svg


def test_the_selected_box_and_a_failed_one_have_a_coloured_frame() -> None:
    def frame(**more: object) -> tuple[str, ...]:
        svg = draw([_box("a", names=("a", "a.relu"), family="pooling", **more)], selected=selected).svg
        (found,) = re.findall(r'stroke="([^"]*)" stroke-width="([\d.]+)"/><rect', svg)
        (side,) = re.findall(r'width="6" [^>]* fill="([^"]*)"', svg)
        return (*found, side)

    selected = ""
    plain = "var(--st-border-color, #d9e0e8)"
    assert frame() == (plain, "1.2", FAMILY_COLOURS["pooling"])
    assert frame(failed=True) == ("#d1495b", "1.2", "#d1495b")
    selected = "a.relu"
    assert frame() == (FAMILY_COLOURS["pooling"], "2.5", FAMILY_COLOURS["pooling"])
    selected = "b"
    assert frame() == (plain, "1.2", FAMILY_COLOURS["pooling"])


@pytest.mark.parametrize(("detail", "shown"), [("d" * 32, True), ("d" * 33, False)])  # 184.4 px next to 8 letters
def test_parameters_are_shown_if_the_detail_leaves_room(detail: str, shown: bool) -> None:
    svg = draw([_box("a", detail=detail, params=7)]).svg
    assert (">7 params</text>" in svg) is shown
