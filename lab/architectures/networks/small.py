"""The reports' own small networks: A's three, B's wide one, the old PyTorch example of C and E, and the new one."""

from lab.architectures.common_options import batch_norm, dropout, hidden, widths
from lab.architectures.spec import Architecture, ArchOption

NETWORKS = (
    Architecture(
        id="basic-cnn",
        title="Basic CNN",
        description="Two unpadded 5×5 convolutions and two linear layers: 21,840 parameters.",
        source="The MNIST example of PyTorch before 2019",
        report="C, E",
        builder="lab.architectures.small:basic_cnn",
        options=(widths(10, 20), hidden(50), dropout(0.5)),
        order=30,
    ),
    Architecture(
        id="pytorch-example",
        title="PyTorch's MNIST example",
        description="Two 3×3 convolutions, one pooling, a hidden layer of 128.",
        source="github.com/pytorch/examples, mnist/main.py, 2019",
        builder="lab.architectures.small:pytorch_example",
        options=(widths(32, 64), hidden(128)),
        order=50,
    ),
    Architecture(
        id="conv2-fc2",
        title="Two convolutions, two linear layers",
        description="First try of report A: pool after the second convolution.",
        source="Report A",
        report="A",
        builder="lab.architectures.small:conv2_fc2",
        options=(widths(32, 64), hidden(128), dropout(0.5)),
        order=60,
    ),
    Architecture(
        id="conv2-bn",
        title="Two convolutions with batch norm",
        description="Notebook of report A: 5×5, then 3×3 with stride 3.",
        source="Report A",
        report="A",
        builder="lab.architectures.small:conv2_bn",
        options=(widths(32, 64), batch_norm(True)),
        order=70,
    ),
    Architecture(
        id="conv3-bn",
        title="Three convolutions with batch norm",
        description="Final network of report A.",
        source="Report A",
        report="A",
        builder="lab.architectures.small:conv3_bn",
        options=(widths(32, 64, 128), batch_norm(True)),
        order=80,
    ),
    Architecture(
        id="wide-cnn",
        title="Wide CNN",
        description="Report B's own: up to 512 channels and a linear layer of 25 million weights.",
        source='Report B ("myCNN")',
        report="B",
        builder="lab.architectures.small:wide_cnn",
        options=(
            widths(32, 128, 512, low_items=1, high_items=6),
            ArchOption("hidden", list, [1024, 256], "Units of each hidden linear layer.", 1, 16384, items=(1, 6)),
            batch_norm(True),
        ),
        order=90,
    ),
)
