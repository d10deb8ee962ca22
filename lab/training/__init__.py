"""The engine: one loop that yields events; it does not know where they are kept."""
