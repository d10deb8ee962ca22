"""Which pixels a value of a feature map depends on: size, stride and position of its receptive field, by arithmetic.

A layer with kernel k, stride s, padding p and dilation d widens the window of its input's first value by p strides
before and (k-1)·d - p strides after, and its own stride is s times as long (Araujo, Norris, Sim 2019, "Computing
receptive fields of convolutional neural networks", section 2). After upsampling and transposed convolutions,
neighbouring rows have windows of different sizes that repeat after some rows, so a field is a list of windows and their
period. Where branches join, the field is the union. Pixels are those of the network's input after its own resizing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, gcd, lcm


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """Row r of a map depends on the pixels `windows[r]`, first to last (padding included).

    After `len(windows)` rows the same windows repeat, shifted by `period` pixels. Images and kernels are square, so one
    axis describes both.
    """

    windows: tuple[tuple[int, int], ...] = ((0, 0),)
    period: int = 1

    @property
    def size(self) -> int:
        """Side of the receptive field in pixels; that of the largest window if they differ."""
        return max(last - first + 1 for first, last in self.windows)

    @property
    def stride(self) -> int | None:
        """Distance in pixels between the windows of neighbouring rows, None if the distances differ."""
        following = [self.window(row + 1) for row in range(len(self.windows))]
        distances = {(b[0] - a[0], b[1] - a[1]) for a, b in zip(self.windows, following)}
        first, last = next(iter(distances))
        return first if len(distances) == 1 and first == last else None

    def window(self, row: int) -> tuple[int, int]:
        """Return the first and last pixel of a row's window, which may lie outside the image."""
        times, place = divmod(row, len(self.windows))
        first, last = self.windows[place]
        return first + times * self.period, last + times * self.period

    def middle(self, row: int) -> float:
        """Return the middle of a row's window."""
        first, last = self.window(row)
        return (first + last) / 2

    def pixels(self, row: int, *, image_size: int) -> tuple[int, int]:
        """Return the first and last pixel of the window of this row (or column), clipped to the image."""
        first, last = self.window(row)
        return max(0, first), min(image_size - 1, last)


def sliding(
    field: ReceptiveField, *, kernel: int = 1, stride: int = 1, padding: int = 0, dilation: int = 1
) -> ReceptiveField:
    """Return the field after a window that slides over the map: a convolution, a pooling, a padding or a crop."""
    rows = len(field.windows) // gcd(len(field.windows), stride)
    return _compose(
        field,
        lambda row: range(row * stride - padding, row * stride - padding + (kernel - 1) * dilation + 1, dilation),
        rows=rows,
        rows_before=rows * stride,
    )


def transposed(
    field: ReceptiveField, *, kernel: int, stride: int, padding: int, dilation: int
) -> ReceptiveField | None:
    """Return the field after a transposed convolution; None if its kernel leaves gaps between the strides."""

    def reads(row: int) -> list[int]:
        places = [row + padding - tap * dilation for tap in range(kernel)]
        return [place // stride for place in places if place % stride == 0]

    rows = stride * len(field.windows)
    if not all(reads(row) for row in range(stride)):
        return None
    return _compose(field, reads, rows=rows, rows_before=len(field.windows))


def repeated(field: ReceptiveField, *, factor: int) -> ReceptiveField:
    """Return the field after nearest-neighbour upsampling, which repeats each row `factor` times."""
    return _compose(
        field, lambda row: [row // factor], rows=factor * len(field.windows), rows_before=len(field.windows)
    )


def interpolated(field: ReceptiveField, *, factor: int) -> ReceptiveField:
    """Return the field after linear upsampling without aligned corners: each row depends on one or two input rows."""

    def reads(row: int) -> tuple[int, ...]:
        below = floor((row + 0.5) / factor - 0.5)
        return (below,) if (row + 0.5) / factor - 0.5 == below else (below, below + 1)

    return _compose(field, reads, rows=factor * len(field.windows), rows_before=len(field.windows))


def pooled_to(field: ReceptiveField, *, side: int, to_side: int) -> ReceptiveField:
    """Return the field after pooling a map of `side` rows to `to_side` rows, whose windows may overlap."""
    if side % to_side == 0:
        return sliding(field, kernel=side // to_side, stride=side // to_side)
    windows = [_span(field, range(row * side // to_side, -(-(row + 1) * side // to_side))) for row in range(to_side)]
    return ReceptiveField(tuple(windows), field.window(side)[0] - field.window(0)[0])


def union(fields: Sequence[ReceptiveField | None]) -> ReceptiveField | None:
    """Return the smallest field that contains all of them, None if one is None or their strides differ."""
    present = [field for field in fields if field is not None]
    if not present or len(present) < len(fields):
        return None
    rows = lcm(*(len(field.windows) for field in present))
    periods = {field.period * rows // len(field.windows) for field in present}
    if len(periods) > 1:
        return None
    windows = [(min(f.window(row)[0] for f in present), max(f.window(row)[1] for f in present)) for row in range(rows)]
    return ReceptiveField(tuple(windows), periods.pop())


def _compose(
    field: ReceptiveField, reads: Callable[[int], Iterable[int]], *, rows: int, rows_before: int
) -> ReceptiveField:
    """Return the field of a map whose row r depends on the rows `reads(r)` of the map before it.

    `rows` rows span the same pixels as `rows_before` rows of the map before, which must be whole periods of it.
    """
    windows = tuple(_span(field, reads(row)) for row in range(rows))
    return ReceptiveField(windows, field.period * rows_before // len(field.windows))


def _span(field: ReceptiveField, rows: Iterable[int]) -> tuple[int, int]:
    windows = [field.window(row) for row in rows]
    return min(first for first, _ in windows), max(last for _, last in windows)
