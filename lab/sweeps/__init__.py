"""Sweeps: search space, search method, and which trials are paused or promoted. Pure: no store, no torch, no clock.

The trials of a sweep are ordinary runs. `spec` describes the sweep and `space` the settings that vary; `rungs` and
`halving` decide what is trained next; `suggest` proposes the next settings. `lab.runs.sweeps` stores sweeps, and
`lab.service.sweeps` combines both.
"""
