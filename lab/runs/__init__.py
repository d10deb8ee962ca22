"""The run store: rows, leases, points and kept files."""
