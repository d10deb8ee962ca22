"""Data sets: read, fetched, split, normalised and augmented."""
