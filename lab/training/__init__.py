"""The engine: one loop that yields events; it does not know where they are stored.

Everything here needs torch and NumPy only, and is shipped beside an exported `train.py` (`lab.sharing.script`).
"""
