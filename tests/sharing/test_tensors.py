"""The tensors of a bundle's file must be contiguous: a gap could hold anything, an overlap would be read twice."""

import json

import pytest

from lab.errors import InputError
from lab.sharing.bundle.tensors import read_header


def header(*places: tuple[int, int]) -> bytes:
    """Return a header with one float32 tensor per place, named t0, t1, …"""
    tensors = {
        f"t{number}": {"dtype": "F32", "shape": [(end - begin) // 4], "data_offsets": [begin, end]}
        for number, (begin, end) in enumerate(places)
    }
    return json.dumps(tensors).encode()


@pytest.mark.parametrize("places", [[(0, 8), (8, 20)], [(8, 20), (0, 8)]], ids=["in order", "out of order"])
def test_contiguous_tensors_are_read_in_any_order_of_the_header(places: list[tuple[int, int]]) -> None:
    found, _ = read_header(header(*places), "w", body=20)
    assert {name: offset for name, (_, _, offset) in found.items()} == {"t0": places[0][0], "t1": places[1][0]}


@pytest.mark.parametrize(
    ("places", "body"),
    [([(0, 8), (12, 20)], 20), ([(4, 20)], 20), ([(0, 8), (4, 20)], 20)],
    ids=["gap", "gap at the start", "overlap"],
)
def test_gaps_and_overlaps_between_tensors_are_refused(places: list[tuple[int, int]], body: int) -> None:
    with pytest.raises(InputError, match="w has gaps or overlaps"):
        read_header(header(*places), "w", body=body)


def test_bytes_after_the_last_tensor_are_refused() -> None:
    with pytest.raises(InputError, match="w is 4 bytes longer than its tensors"):
        read_header(header((0, 8)), "w", body=12)
