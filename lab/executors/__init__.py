"""Engines that start workers on other machines: Slurm and Ray, behind one interface.

An engine only starts worker processes. Which runs there are, who may train one and what came out is decided by the run
store alone: an engine's status never starts a run a second time while its lease is held.
"""
