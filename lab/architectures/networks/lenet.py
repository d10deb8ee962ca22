"""LeNet-5 as reports C and E ran it, and as report D did."""

from lab.architectures.common_options import activation, batch_norm, dropout, widths
from lab.architectures.spec import Architecture

_LECUN = "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998"

NETWORKS = (
    Architecture(
        id="lenet5",
        title="LeNet-5",
        family="LeNet",
        description="The classic: two convolutions, three linear layers, images resized to 32×32.",
        source=_LECUN,
        report="C, E",
        builder="lab.architectures.lenet:lenet5",
        default_input_size="32",
        options=(widths(6, 16), activation()),
        order=10,
    ),
    Architecture(
        id="lenet-bn",
        title="LeNet-5 with batch norm",
        family="LeNet",
        description="LeNet-5 padded instead of resized, with batch norm and dropout.",
        source=_LECUN,
        report="D",
        builder="lab.architectures.lenet:lenet_bn",
        options=(widths(6, 16), batch_norm(True), dropout(0.5), activation()),
        order=20,
    ),
)
