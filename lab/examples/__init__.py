"""Example runs that ship with the lab, the network that reads drawings on Home, and some images of their data set.

The data files in this package are written by `python -m lab.examples.make` and are never edited by hand.
"""
