"""Residual networks: report D's ResNet-18 at 224, torchvision's and a small one (E)."""

from lab.architectures.common_options import widths
from lab.architectures.spec import Architecture

NETWORKS = (
    Architecture(
        id="resnet-small",
        title="Small residual network",
        family="ResNet",
        description="Two convolutions, each followed by a residual block.",
        source="Report E",
        report="E",
        builder="lab.architectures.resnet:resnet_small",
        options=(widths(16, 32),),
        order=100,
    ),
    Architecture(
        id="resnet18-tv",
        title="ResNet-18 (torchvision)",
        family="ResNet",
        description="torchvision's ResNet-18 with a one-channel stem, at the data's size.",
        source="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015; torchvision",
        report="E",
        builder="lab.architectures.resnet:resnet18_tv",
        order=120,
    ),
    Architecture(
        id="resnet18",
        title="ResNet-18",
        family="ResNet",
        description="Residual stages of 64, 128, 256 and 512 channels, two blocks each.",
        source="He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015",
        report="D",
        builder="lab.architectures.resnet:resnet18",
        default_input_size="224",
        order=180,
    ),
)
