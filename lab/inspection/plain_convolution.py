"""A convolution written out in plain loops, as in report E, and one window of it term by term.

It is meant for reading, not for speed; a test holds it equal to `torch.nn.functional.conv2d`.
"""

from dataclasses import dataclass

import numpy as np

from lab.errors import InputError
from lab.formatting import plural
from lab.inspection.kernels import Kernels


@dataclass(frozen=True, slots=True)
class Window:
    """One output value: patches, kernels and products are (channels, k, k); value = total + bias.

    row/column: the window's first row and column in the padded input, minus the padding (so it can be negative).
    """

    patches: np.ndarray
    kernels: np.ndarray
    products: np.ndarray
    total: float
    bias: float
    row: int
    column: int
    span: int

    @property
    def value(self) -> float:
        """The convolution's output at this position."""
        return self.total + self.bias


def output_side(side: int, *, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return the side of the output. Raises `InputError` if the kernel does not fit."""
    span = (kernel - 1) * dilation + 1
    if span > side + 2 * padding:
        raise InputError(
            f"A kernel that spans {span} pixels does not fit on {side} pixels padded by {padding}: use a smaller one."
        )
    return (side + 2 * padding - span) // stride + 1


def convolve(
    x_BCHW: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> np.ndarray:
    """Return a batch (B, C, H, W) convolved with weight (O, C / groups, k, k), one product at a time, in float64.

    Raises `InputError` if channels, groups and filters do not fit together.
    """
    batch, channels, height, width = x_BCHW.shape
    filters, per_group, kernel, _ = weight.shape
    if channels != per_group * groups or filters % groups:
        raise InputError(
            f"{plural(channels, 'channel')} in {plural(groups, 'group')} do not fit "
            f"{filters} filters of {per_group} each."
        )
    rows = output_side(height, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    columns = output_side(width, kernel=kernel, stride=stride, padding=padding, dilation=dilation)
    result = np.zeros((batch, filters, rows, columns))
    for image in range(batch):
        for filter_ in range(filters):
            first = filter_ // (filters // groups) * per_group  # first channel of the filter's group
            for row in range(rows):
                for column in range(columns):
                    total = 0.0 if bias is None else float(bias[filter_])
                    for channel in range(per_group):
                        for i in range(kernel):
                            for j in range(kernel):
                                y = row * stride + i * dilation - padding
                                x = column * stride + j * dilation - padding
                                if 0 <= y < height and 0 <= x < width:  # the padding outside is zero
                                    total += x_BCHW[image, first + channel, y, x] * weight[filter_, channel, i, j]
                    result[image, filter_, row, column] = total
    return result


def take_window(input_CHW: np.ndarray, kernels: Kernels, *, filter: int, row: int, column: int) -> Window:
    """Return one output value's window: which numbers were multiplied, and their sum.

    Raises `InputError` for a filter, row or column out of range.
    """
    weight = kernels.weight[_inside(filter, len(kernels.weight), "filter")]
    per_group, kernel = weight.shape[0], weight.shape[-1]
    settings = {"kernel": kernel, "stride": kernels.stride, "padding": kernels.padding, "dilation": kernels.dilation}
    _inside(row, output_side(input_CHW.shape[1], **settings), "row")
    _inside(column, output_side(input_CHW.shape[2], **settings), "column")
    first = filter // (len(kernels.weight) // kernels.groups) * per_group
    group = input_CHW[first : first + per_group].astype(np.float64)
    pad = kernels.padding
    padded = np.pad(group, ((0, 0), (pad, pad), (pad, pad)))
    top, left, span = row * kernels.stride, column * kernels.stride, (kernel - 1) * kernels.dilation + 1
    patches = padded[:, top : top + span : kernels.dilation, left : left + span : kernels.dilation]
    products = patches * weight
    return Window(
        patches,
        weight.astype(np.float64),
        products,
        float(products.sum()),
        float(kernels.bias[filter]),
        top - pad,
        left - pad,
        span,
    )


def _inside(index: int, count: int, what: str) -> int:
    if not 0 <= index < count:
        raise InputError(f"The {what} is {index}, but it must be 0 to {count - 1}.")
    return index


def report_e_example() -> tuple[np.ndarray, Kernels]:
    """Return report E's example: an image (1, 4, 4) with values 1 to 16 and a 2×2 kernel of ones."""
    image = np.arange(1.0, 17.0).reshape(1, 4, 4)
    return image, Kernels("example", np.ones((1, 1, 2, 2), np.float32), np.zeros(1, np.float32), 1, 0, 1, 1)
