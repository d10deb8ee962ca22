"""Drawings, photos and scans: from ink to the picture that a network reads, and the network's answer."""
