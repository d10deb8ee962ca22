"""Sweeps: what is searched, by which method, which trial is paused and which goes on. Pure: no store, no torch, no clock.

A sweep's trials are ordinary runs. `spec` is what was asked for, `space` the settings that vary, `rungs` and `halving`
decide what is trained next, `suggest` proposes the next settings. `lab.runs.sweeps` stores it, `lab.service.sweeps` joins
both.
"""
