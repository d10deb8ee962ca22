"""What a network is and does, looked at without touching it."""
