"""Example runs that ship with the lab, the network that reads drawings on Home, and a few pictures of their data set.

The files beside this one were trained and written by `python -m lab.examples.make`; nothing here is edited by hand.
"""
