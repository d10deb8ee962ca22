"""A run as one self-contained `train.py` of plain PyTorch that gives the same numbers to the last bit on a CPU."""
