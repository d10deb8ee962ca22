"""Compares the layers of two networks: which they share and which differ."""

import difflib
from dataclasses import dataclass

from lab.inspection.summary import LayerRow, Summary

SAME, CHANGED, ONLY_LEFT, ONLY_RIGHT = "same", "changed", "only left", "only right"


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of the comparison; a side is None if only the other network has the layer."""

    left: LayerRow | None
    right: LayerRow | None
    verdict: str


def compare(left: Summary, right: Summary) -> tuple[Pair, ...]:
    """Return the layers of two networks in order, paired if type, kernel size and stride are equal.

    Paired layers are "same" if output shape and parameter count are equal too, else "changed".
    """
    a, b = ([row for row in side.layers if row.is_leaf] for side in (left, right))
    matcher = difflib.SequenceMatcher(None, [_kind(r) for r in a], [_kind(r) for r in b], autojunk=False)
    pairs: list[Pair] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pairs += [Pair(x, y, SAME if _result(x) == _result(y) else CHANGED) for x, y in zip(a[i1:i2], b[j1:j2])]
        else:
            pairs += [Pair(row, None, ONLY_LEFT) for row in a[i1:i2]]
            pairs += [Pair(None, row, ONLY_RIGHT) for row in b[j1:j2]]
    return tuple(pairs)


def _kind(row: LayerRow) -> tuple[str, int | None, int | None]:
    return row.type, row.kernel_size, row.stride


def _result(row: LayerRow) -> tuple[tuple[int, ...], int]:
    return row.output_shape[1:], row.params
