"""VGG: 11 and 19 layers at 224 (report D), torchvision's 16 at 64 and a small one (E)."""

from lab.architectures.common_options import batch_norm, dropout, widths
from lab.architectures.spec import Architecture

NETWORKS = (
    Architecture(
        id="vgg-small",
        title="Small VGG (Vgg_2)",
        family="VGG",
        description="Four 3×3 convolutions with batch norm, three linear layers.",
        source='Report E ("Vgg_2")',
        report="E",
        builder="lab.architectures.vgg:vgg_small",
        options=(widths(64, 64, 128, 128), batch_norm(True), dropout(0.5)),
        order=110,
    ),
    Architecture(
        id="vgg16-64",
        title="VGG-16 (torchvision, 64 pixels)",
        family="VGG",
        description="torchvision's VGG-16 on images resized to 64×64.",
        source="Simonyan, Zisserman: Very Deep Convolutional Networks, 2014; torchvision",
        report="E",
        builder="lab.architectures.vgg:vgg16_64",
        default_input_size="64",
        options=(dropout(0.5),),
        order=130,
    ),
    Architecture(
        id="vgg11",
        title="VGG-11",
        family="VGG",
        description="Eight 3×3 convolutions in five blocks, two linear layers of 4,096.",
        source="Simonyan, Zisserman: Very Deep Convolutional Networks, 2014",
        report="D",
        builder="lab.architectures.vgg:vgg11",
        default_input_size="224",
        options=(batch_norm(False), dropout(0.5)),
        order=150,
    ),
    Architecture(
        id="vgg19",
        title="VGG-19",
        family="VGG",
        description="Sixteen 3×3 convolutions in five blocks, two linear layers of 4,096.",
        source="Simonyan, Zisserman: Very Deep Convolutional Networks, 2014",
        report="D",
        builder="lab.architectures.vgg:vgg19",
        default_input_size="224",
        options=(batch_norm(False), dropout(0.5)),
        order=160,
    ),
)
