"""Data sets: reading, fetching, importing and normalising them.

Reading needs only NumPy; torch is imported only by `lab.data.resident`.
"""
