"""Runs as one HTML file that opens from disk with no network: `gather` collects, `page` writes."""
