"""Inspection of networks: structure, cost, activations and attributions. Nothing here changes the network."""
