"""ConvLab: train, inspect, compare and share image-classification networks on MNIST-family data."""

__version__ = "0.2.0"
