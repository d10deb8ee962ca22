"""The training engine: one loop that yields events and does not know where they are stored.

Everything here needs only torch and NumPy, and is shipped together with an exported `train.py` (`lab.sharing.script`).
"""
