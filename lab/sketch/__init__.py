"""From ink to the picture the network reads."""
