"""The list of networks: every one of the five reports, and the one made for speed. No torch.

The order is the order in which pages show them: small first, then the reports' large ones.
"""

from lab.architectures.spec import Architecture, ArchOption
from lab.config import Option

_LECUN = "LeCun, Bottou, Bengio, Haffner: Gradient-Based Learning Applied to Document Recognition, 1998"
_OLD_EXAMPLE = "The MNIST example of PyTorch before 2019"


def _widths(*defaults: int, low_items: int | None = None, high_items: int | None = None) -> ArchOption:
    value: Option = list(defaults)
    items = (low_items or len(defaults), high_items or len(defaults))
    return ArchOption("widths", list, value, "Output channels of each convolution.", 1, 4096, items=items)


def _dropout(default: float) -> ArchOption:
    return ArchOption("dropout", float, default, "Share of the activations set to zero in training.", 0.0, 0.95)


def _hidden(default: int) -> ArchOption:
    return ArchOption("hidden", int, default, "Units of the hidden linear layer.", 1, 16_384)


def _batch_norm(default: bool) -> ArchOption:
    return ArchOption("batch_norm", bool, default, "Normalise each channel over the batch after a convolution.")


CATALOGUE: tuple[Architecture, ...] = (
    Architecture(
        "lenet5",
        "LeNet-5",
        "The classic: two convolutions, three linear layers, images resized to 32×32.",
        _LECUN,
        "C, E",
        "lab.architectures.lenet:lenet5",
        "32",
        (_widths(6, 16),),
    ),
    Architecture(
        "lenet-bn",
        "LeNet-5 with batch norm",
        "LeNet-5 padded instead of resized, with batch norm and dropout.",
        _LECUN,
        "D",
        "lab.architectures.lenet:lenet_bn",
        "native",
        (_widths(6, 16), _batch_norm(True), _dropout(0.5)),
    ),
    Architecture(
        "basic-cnn",
        "Basic CNN",
        "Two unpadded 5×5 convolutions and two linear layers: 21,840 parameters.",
        _OLD_EXAMPLE,
        "C, E",
        "lab.architectures.small:basic_cnn",
        "native",
        (_widths(10, 20), _hidden(50), _dropout(0.5)),
    ),
    Architecture(
        "speedrun-cnn",
        "Speedrun CNN",
        "Made to reach 99 % in seconds: whitened frozen first layer on a 24×24 crop.",
        "After Jordan: 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024 (the whitening first layer)",
        "",
        "lab.architectures.speedrun:speedrun_cnn",
        "native",
        (
            _widths(16, 32),
            _hidden(128),
            ArchOption("random_crop", bool, False, "In training, crop each image at a random place, not the centre."),
        ),
    ),
    Architecture(
        "pytorch-example",
        "PyTorch's MNIST example",
        "Two 3×3 convolutions, one pooling, a hidden layer of 128.",
        "github.com/pytorch/examples, mnist/main.py, 2019",
        "",
        "lab.architectures.small:pytorch_example",
        "native",
        (_widths(32, 64), _hidden(128)),
    ),
    Architecture(
        "conv2-fc2",
        "Two convolutions, two linear layers",
        "First try of report A: pool after the second convolution.",
        "Report A",
        "A",
        "lab.architectures.small:conv2_fc2",
        "native",
        (_widths(32, 64), _hidden(128), _dropout(0.5)),
    ),
    Architecture(
        "conv2-bn",
        "Two convolutions with batch norm",
        "Notebook of report A: 5×5, then 3×3 with stride 3.",
        "Report A",
        "A",
        "lab.architectures.small:conv2_bn",
        "native",
        (_widths(32, 64), _batch_norm(True)),
    ),
    Architecture(
        "conv3-bn",
        "Three convolutions with batch norm",
        "Final network of report A.",
        "Report A",
        "A",
        "lab.architectures.small:conv3_bn",
        "native",
        (_widths(32, 64, 128), _batch_norm(True)),
    ),
    Architecture(
        "wide-cnn",
        "Wide CNN",
        "Report B's own: up to 512 channels and a linear layer of 25 million weights.",
        'Report B ("myCNN")',
        "B",
        "lab.architectures.small:wide_cnn",
        "native",
        (
            _widths(32, 128, 512, low_items=1, high_items=6),
            ArchOption("hidden", list, [1024, 256], "Units of each hidden linear layer.", 1, 16_384, items=(1, 6)),
            _batch_norm(True),
        ),
    ),
    Architecture(
        "resnet-small",
        "Small residual network",
        "Two convolutions, each followed by a residual block.",
        "Report E",
        "E",
        "lab.architectures.resnet:resnet_small",
        "native",
        (_widths(16, 32),),
    ),
    Architecture(
        "vgg-small",
        "Small VGG (Vgg_2)",
        "Four 3×3 convolutions with batch norm, three linear layers.",
        'Report E ("Vgg_2")',
        "E",
        "lab.architectures.vgg:vgg_small",
        "native",
        (_widths(64, 64, 128, 128), _batch_norm(True), _dropout(0.5)),
    ),
    Architecture(
        "resnet18-tv",
        "ResNet-18 (torchvision)",
        "torchvision's ResNet-18 with a one-channel stem, at the data's size.",
        "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015; torchvision",
        "E",
        "lab.architectures.resnet:resnet18_tv",
    ),
    Architecture(
        "vgg16-64",
        "VGG-16 (torchvision, 64 pixels)",
        "torchvision's VGG-16 on images resized to 64×64.",
        "Simonyan, Zisserman: Very Deep Convolutional Networks, 2014; torchvision",
        "E",
        "lab.architectures.vgg:vgg16_64",
        "64",
        (_dropout(0.5),),
    ),
    Architecture(
        "alexnet",
        "AlexNet",
        "The 2012 network: 11×11 convolution with stride 4, two linear layers of 4,096.",
        "Krizhevsky, Sutskever, Hinton: ImageNet Classification with Deep CNNs, 2012",
        "D",
        "lab.architectures.alexnet:alexnet",
        "224",
        (_dropout(0.5),),
    ),
    Architecture(
        "vgg11",
        "VGG-11",
        "Eight 3×3 convolutions in five blocks, two linear layers of 4,096.",
        "Simonyan, Zisserman: Very Deep Convolutional Networks, 2014",
        "D",
        "lab.architectures.vgg:vgg11",
        "224",
        (_batch_norm(False), _dropout(0.5)),
    ),
    Architecture(
        "vgg19",
        "VGG-19",
        "Sixteen 3×3 convolutions in five blocks, two linear layers of 4,096.",
        "Simonyan, Zisserman: Very Deep Convolutional Networks, 2014",
        "D",
        "lab.architectures.vgg:vgg19",
        "224",
        (_batch_norm(False), _dropout(0.5)),
    ),
    Architecture(
        "mobilenet",
        "MobileNet",
        "Depthwise-separable convolutions: few parameters, many layers.",
        "Howard et al.: MobileNets, 2017",
        "D",
        "lab.architectures.mobilenet:mobilenet",
        "224",
        (ArchOption("width", float, 1.0, "Multiplier of all channels (the paper's alpha).", 0.1, 2.0),),
    ),
    Architecture(
        "resnet18",
        "ResNet-18",
        "Residual stages of 64, 128, 256 and 512 channels, two blocks each.",
        "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015",
        "D",
        "lab.architectures.resnet:resnet18",
        "224",
    ),
    Architecture(
        "googlenet",
        "GoogLeNet",
        "Nine Inception modules; optionally the two auxiliary classifiers.",
        "Szegedy et al.: Going Deeper with Convolutions, 2014",
        "D",
        "lab.architectures.googlenet:googlenet",
        "224",
        (
            ArchOption("aux", bool, False, "Train with the paper's two auxiliary classifiers (loss weight 0.3 each)."),
            _dropout(0.4),
        ),
    ),
)
