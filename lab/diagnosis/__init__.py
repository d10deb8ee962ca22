"""Rules that name mistakes in settings and curves."""
