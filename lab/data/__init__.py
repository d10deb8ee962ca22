"""Data sets: read, fetched and normalised.

Reading is NumPy only; torch appears in `lab.data.resident`, which is imported by name.
"""
