"""Rules that find mistakes in settings and learning curves."""
