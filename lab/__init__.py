"""ConvLab: train, inspect, compare and share image-classification networks on MNIST-family data."""

__version__ = "0.2.0"
INTERRUPTED = 130  # exit code after Ctrl-C: 128 + SIGINT, as shells have it
