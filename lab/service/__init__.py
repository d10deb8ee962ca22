"""Composition: the lab's services for pages, CLI and worker."""
