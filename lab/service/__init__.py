"""Composition: the lab as pages, CLI and worker use it."""
