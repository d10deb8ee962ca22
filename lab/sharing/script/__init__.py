"""A run as a `train.py` of PyTorch code that reproduces it, bit for bit on a CPU of the same kind."""
