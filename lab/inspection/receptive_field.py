"""Which pixels a value of a feature map depends on: size, stride and position of its receptive field, by arithmetic.

A layer with kernel k, stride s, padding p and dilation d widens the window of its input's first value by p strides
before and (k-1)·d - p strides after, and its own stride is s times as long (Araujo, Norris, Sim 2019, "Computing
receptive fields of convolutional neural networks", section 2). After upsampling and transposed convolutions,
neighbouring rows have windows of different sizes that repeat after some rows, so a field is a list of windows and their
period. Where branches join, the field is the union. Pixels are those of the network's input after its own resizing.

At the edges of the image, clipping these windows is not enough: rows of padding inside the network have no pixels, and
a stride may leave the last rows of a map unread. The pixels of each row are therefore composed from those of the existing
rows only.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import floor, gcd, lcm

_NO_PIXELS = (0, -1)  # of a row that depends on padding only


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """In an endless map, row r depends on the pixels `windows[r]`, first to last, of an endless image.

    After `len(windows)` rows the same windows repeat, shifted by `period` pixels. inside: first and last pixel of the
    image for each row of the map itself. Images and kernels are square, so one axis describes both.
    """

    windows: tuple[tuple[int, int], ...]
    period: int
    inside: tuple[tuple[int, int], ...]

    @classmethod
    def of_image(cls, side: int) -> "ReceptiveField":
        """Return the field of the image itself, of `side` rows: each depends on itself."""
        return cls(((0, 0),), 1, tuple((row, row) for row in range(side)))

    @property
    def side(self) -> int:
        """Number of rows of the map."""
        return len(self.inside)

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

    def pixels(self, row: int) -> tuple[int, int]:
        """Return the first and last pixel of the image that this row (or column) depends on, (0, -1) if on none."""
        return self.inside[row]

    def middle(self, row: int) -> float:
        """Return the middle of a row's window."""
        first, last = self.window(row)
        return (first + last) / 2


def sliding(
    field: ReceptiveField, *, side: int, kernel: int = 1, stride: int = 1, padding: int = 0, dilation: int = 1
) -> ReceptiveField:
    """Return the field after a window that slides over the map: a convolution, a pooling, a padding or a crop.

    side: rows of the map after it, here and below.
    """
    return _compose(
        field,
        lambda row: range(row * stride - padding, row * stride - padding + (kernel - 1) * dilation + 1, dilation),
        side=side,
        rows=1,
        rows_before=stride,
    )


def transposed(
    field: ReceptiveField, *, side: int, kernel: int, stride: int, padding: int, dilation: int
) -> ReceptiveField | None:
    """Return the field after a transposed convolution; None if its kernel leaves gaps between the strides."""

    def reads(row: int) -> list[int]:
        places = [row + padding - tap * dilation for tap in range(kernel)]
        return [place // stride for place in places if place % stride == 0]

    if not all(reads(row) for row in range(stride)):
        return None
    return _compose(field, reads, side=side, rows=stride, rows_before=1)


def repeated(field: ReceptiveField, *, side: int, factor: int) -> ReceptiveField:
    """Return the field after nearest-neighbour upsampling, which repeats each row `factor` times."""
    return _compose(field, lambda row: [row // factor], side=side, rows=factor, rows_before=1)


def interpolated(field: ReceptiveField, *, side: int, factor: int) -> ReceptiveField:
    """Return the field after linear upsampling without aligned corners: each row depends on one or two input rows."""

    def reads(row: int) -> tuple[int, ...]:
        below = floor((row + 0.5) / factor - 0.5)
        return (below,) if (row + 0.5) / factor - 0.5 == below else (below, below + 1)

    return _compose(field, reads, side=side, rows=factor, rows_before=1)


def pooled_to(field: ReceptiveField, *, side: int) -> ReceptiveField:
    """Return the field after pooling a map to `side` rows, whose windows may overlap."""
    before = field.side
    shared = gcd(before, side)
    return _compose(
        field,
        lambda row: range(row * before // side, -(-(row + 1) * before // side)),
        side=side,
        rows=side // shared,
        rows_before=before // shared,
    )


def union(fields: Sequence[ReceptiveField | None]) -> ReceptiveField | None:
    """Return the smallest field that contains all of them, None if one is None or their strides or sides differ."""
    present = [field for field in fields if field is not None]
    if not present or len(present) < len(fields):
        return None
    rows = lcm(*(len(field.windows) for field in present))
    maps = {(field.period * rows // len(field.windows), field.side) for field in present}
    if len(maps) > 1:
        return None
    period, side = maps.pop()
    windows = tuple(_span(field.window(row) for field in present) for row in range(rows))
    return ReceptiveField(windows, period, tuple(_span(field.inside[row] for field in present) for row in range(side)))


def _compose(
    field: ReceptiveField, reads: Callable[[int], Iterable[int]], *, side: int, rows: int, rows_before: int
) -> ReceptiveField:
    """Return the field of a map of `side` rows, of which row r depends on the rows `reads(r)` of the map before it.

    `rows` further rows read as before, `rows_before` rows further on.
    """
    times = len(field.windows) // gcd(len(field.windows), rows_before)  # until whole periods of the field have passed
    windows = tuple(_span(map(field.window, reads(row))) for row in range(times * rows))
    inside = tuple(_span(field.inside[place] for place in reads(row) if 0 <= place < field.side) for row in range(side))
    return ReceptiveField(windows, field.period * times * rows_before // len(field.windows), inside)


def _span(windows: Iterable[tuple[int, int]]) -> tuple[int, int]:
    filled = [window for window in windows if window != _NO_PIXELS]
    if not filled:
        return _NO_PIXELS
    return min(first for first, _ in filled), max(last for _, last in filled)
