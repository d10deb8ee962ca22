"""Everything that is cached in memory for all sessions: the lab, networks, costs, curves. Keys are ids and digests."""
