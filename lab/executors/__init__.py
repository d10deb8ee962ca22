"""Executors that start workers on other machines: Slurm and Ray, behind one interface.

An executor only starts worker processes. The run store alone decides which runs exist, who may train them and what
their results are: while the lease of a run is held, its executor's status never causes a second start.
"""
