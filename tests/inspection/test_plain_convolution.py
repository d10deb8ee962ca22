"""The convolution in plain loops equals torch's, and the terms of a window add up to what the network computed."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lab.architectures.build import build_network
from lab.errors import InputError
from lab.inspection.kernels import read_kernels
from lab.inspection.observe import capture
from lab.inspection.plain_convolution import convolve, report_e_example, take_window

GRID = [  # batch, channels, side, filters, kernel, stride, padding, dilation, groups
    (1, 1, 4, 1, 2, 1, 0, 1, 1),
    (2, 3, 7, 4, 3, 1, 1, 1, 1),
    (2, 2, 8, 4, 3, 2, 1, 1, 2),
    (1, 4, 9, 4, 3, 3, 0, 1, 4),
    (1, 2, 9, 3, 3, 1, 2, 2, 1),
    (2, 1, 11, 2, 5, 4, 3, 1, 1),
    (1, 3, 6, 2, 1, 1, 0, 1, 1),
    (1, 6, 7, 6, 3, 2, 2, 2, 3),
    (1, 2, 5, 2, 5, 1, 0, 1, 2),
    (3, 1, 5, 2, 2, 2, 1, 3, 1),
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", GRID, ids=str)
def test_the_plain_loops_equal_torchs_convolution(case: tuple[int, ...], bias: bool) -> None:
    batch, channels, side, filters, kernel, stride, padding, dilation, groups = case
    rng = np.random.default_rng(sum(case))
    x, w = (
        rng.normal(size=(batch, channels, side, side)),
        rng.normal(size=(filters, channels // groups, kernel, kernel)),
    )
    b = rng.normal(size=filters) if bias else None
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    theirs = F.conv2d(torch.from_numpy(x), torch.from_numpy(w), None if b is None else torch.from_numpy(b), **settings)
    assert convolve(x, w, b, **settings) == pytest.approx(theirs.numpy(), abs=1e-5)


def test_report_es_example_gives_the_sums_of_its_windows() -> None:
    image, kernels = report_e_example()
    expected = [[14, 18, 22], [30, 34, 38], [46, 50, 54]]  # 1 + 2 + 5 + 6 = 14, and so on
    assert convolve(image[None], kernels.weight)[0, 0].tolist() == expected
    window = take_window(image, kernels, filter=0, row=1, column=2)
    assert window.patches[0].tolist() == [[7, 8], [11, 12]]
    assert window.value == 38


@pytest.mark.parametrize(
    ("arch", "layer"), [("lenet-bn", "features.conv1"), ("lenet-bn", "features.conv2"), ("conv3-bn", "features.conv3")]
)
def test_the_terms_of_windows_at_every_corner_of_a_real_layer_add_up_to_its_output(arch: str, layer: str) -> None:
    torch.manual_seed(0)
    network = build_network(arch).eval()
    before = list(dict(network.named_modules()))
    source = before[before.index(layer) - 1] if layer != "features.conv1" else "resize"
    captured = capture(network, torch.randn(1, 1, 28, 28), layers=[source, layer])
    image, result = captured[source][0].numpy(), captured[layer][0].numpy()
    kernels = read_kernels(network, layer=layer)
    last = result.shape[-1] - 1
    for row, column in ((0, 0), (0, last), (last, 0), (last, last), (last // 2, 1)):
        window = take_window(image, kernels, filter=3, row=row, column=column)
        assert window.value == pytest.approx(result[3, row, column], abs=1e-5)
        assert window.products.sum() + window.bias == pytest.approx(window.value)


def test_the_terms_add_up_with_padding_given_by_name() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 5, padding="same"), nn.Conv2d(3, 2, 3, padding="valid")).eval()
    x = torch.randn(1, 1, 9, 9)
    captured = capture(network, x, layers=["0", "1"])
    image, first, second = x[0].numpy(), captured["0"][0].numpy(), captured["1"][0].numpy()
    window = take_window(image, read_kernels(network, layer="0"), filter=2, row=8, column=0)
    assert window.value == pytest.approx(first[2, 8, 0], abs=1e-5)
    window = take_window(first, read_kernels(network, layer="1"), filter=1, row=6, column=6)
    assert window.value == pytest.approx(second[1, 6, 6], abs=1e-5)


def test_a_depthwise_filter_reads_its_own_channel() -> None:
    torch.manual_seed(0)
    network = build_network("mobilenet", input_size="32").eval()
    name, source = "features.block1.conv_depthwise", "features.relu1"
    captured = capture(network, torch.randn(1, 1, 28, 28), layers=[source, name])
    window = take_window(captured[source][0].numpy(), read_kernels(network, layer=name), filter=5, row=2, column=3)
    assert window.patches.shape == (1, 3, 3)
    assert window.value == pytest.approx(float(captured[name][0, 5, 2, 3]), abs=1e-5)


def test_positions_outside_the_map_and_kernels_that_do_not_fit_are_refused() -> None:
    image, kernels = report_e_example()
    with pytest.raises(InputError, match="The row is 3, but it must be 0 to 2"):
        take_window(image, kernels, filter=0, row=3, column=0)
    with pytest.raises(InputError, match="The filter is -1"):
        take_window(image, kernels, filter=-1, row=0, column=0)
    with pytest.raises(InputError, match="spans 5 pixels does not fit on 4 pixels padded by 0"):
        convolve(image[None], np.ones((1, 1, 5, 5)))
    with pytest.raises(InputError, match="1 channel in 2 groups do not fit"):
        convolve(image[None], np.ones((2, 1, 2, 2)), groups=2)
